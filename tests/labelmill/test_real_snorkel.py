"""One Snorkel file, under Snorkel itself and in both ways in which labelmill takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LABELMILL_DATA", ROOT.parent / "shared" / "data"))
IN_CI = os.environ.get("CI") == "true"
ROWS = 3_000

pytestmark = pytest.mark.slow

SNORKEL_FILE = """
import re

from snorkel.labeling import LabelingFunction, labeling_function
from snorkel.labeling.lf.nlp import NLPLabelingFunction, nlp_labeling_function
from snorkel.map import LambdaMapper, lambda_mapper
from snorkel.preprocess import LambdaPreprocessor, Preprocessor, preprocessor
from snorkel.preprocess.nlp import SpacyPreprocessor
from snorkel.types import DataPoint

ABSTAIN, WEB, DATA = -1, 0, 1
PIPELINE = "{pipeline}"


@preprocessor(memoize=True)
def lowered(x: DataPoint) -> DataPoint:
    x.text = x.text.lower()
    return x


@preprocessor(memoize=True, memoize_key=lambda x: x.text, pre=[lowered])
def words(x):
    x.words = re.findall(r"[a-z]+", x.text)
    return x


@preprocessor()
def spaced(x):
    x.text = x.text.replace("-", " ")
    return x


@lambda_mapper("letters", pre=[words])
def letters(x):
    x.letters = sum(map(len, x.words))
    return x


class Sizes(Preprocessor):
    def __init__(self, unit, **options):
        super().__init__("sizes", {{"text": "text", "n": "n"}}, {{"size": "extent"}}, **options)
        self.unit = unit

    def run(self, text, n):
        return {{"size": len(text) // self.unit + n % 3, "not_taken": 1}}


class Halves(Preprocessor):
    def run(self, text):
        middle = len(text) // 2
        return {{"first": text[:middle], "second": text[middle:]}}


sizes = Sizes(10, pre=[lowered], memoize=True)
same = LambdaPreprocessor("same", lambda x: x, memoize=False)
parsed = SpacyPreprocessor("text", "parsed", language=PIPELINE, pre=[spaced], memoize=True)


def mentions(x, keywords, label):
    return label if any(word in x.text for word in keywords) else ABSTAIN


def make_keyword_lf(label, *keywords):
    return LabelingFunction(
        name=f"keyword_{{keywords[0]}}",
        f=mentions,
        resources=dict(keywords=keywords, label=label),
        pre=[lowered],
    )


keyword_lfs = [make_keyword_lf(WEB, "http", "web", "django"), make_keyword_lf(DATA, "data", "csv")]


@labeling_function()
def as_written(x):
    return WEB if re.search(r"\\bAPI\\b", x.text) else ABSTAIN


@labeling_function(name="named", resources={{"least": 8}}, pre=[words])
def unnamed(x, least):
    return DATA if len(x.words) >= least else ABSTAIN


@labeling_function(pre=[words])
def first_word(x):
    return WEB if x.words and x.words[0] == "a" else ABSTAIN


@labeling_function(pre=[letters])
def letters_per_word(x):
    return WEB if x.words and x.letters / len(x.words) > 6 else ABSTAIN


@labeling_function(pre=[lowered, Halves("halves")])
def halves(x):
    return DATA if "for" in x.first and "for" not in x.second else ABSTAIN


@labeling_function(pre=[same, sizes])
def sized(x):
    return x.extent % 3 - 1


@nlp_labeling_function(language=PIPELINE)
def python_entity(x):
    return WEB if any(e.label_ == "LANGUAGE" for e in x.doc.ents) else ABSTAIN


@nlp_labeling_function(language=PIPELINE, resources={{"most": 2}})
def sentences(x, most):
    return DATA if len(list(x.doc.sents)) > most else ABSTAIN


last_is_dot = NLPLabelingFunction(
    "last_is_dot", lambda x: DATA if len(x.doc) and x.doc[-1].is_punct else WEB, language=PIPELINE
)


@labeling_function(pre=[parsed])
def like_number(x):
    return DATA if any(token.like_num for token in x.parsed) else ABSTAIN
"""

# Under pandas, Snorkel loses a field that one preprocessor adds when the next one copies the row.
CHAINED = """

@labeling_function(pre=[sizes, Halves("halves"), same, parsed])
def chained(x):
    return DATA if x.extent > 3 and x.parsed[0].text in x.first else ABSTAIN
"""

MAKE_PIPELINE = """
import sys
import spacy

nlp = spacy.blank("en")
nlp.add_pipe("sentencizer")
patterns = [[{"LOWER": name}] for name in ("python", "rust", "java", "javascript", "sql")]
ruler = nlp.add_pipe("entity_ruler")
ruler.add_patterns([{"label": "LANGUAGE", "pattern": pattern} for pattern in patterns])
nlp.to_disk(sys.argv[1])
"""

WITH_SNORKEL = """
import importlib.util
import json
import sys
from types import SimpleNamespace

import pandas as pd
from snorkel.labeling import LabelingFunction, LFApplier, PandasLFApplier

spec = importlib.util.spec_from_file_location("lfs", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["lfs"] = module
spec.loader.exec_module(module)
lfs = []
for value in vars(module).values():
    members = value if isinstance(value, list) else [value]
    lfs += [lf for lf in members if isinstance(lf, LabelingFunction)]
texts = pd.read_parquet(sys.argv[2])
if hasattr(module, "chained"):
    points = [SimpleNamespace(**row) for row in texts.to_dict("records")]
    votes = LFApplier(lfs).apply(points, progress_bar=False)
else:
    votes = PandasLFApplier(lfs).apply(texts, progress_bar=False)
with open(sys.argv[3], "w") as file:
    json.dump({"names": [lf.name for lf in lfs], "votes": votes.tolist()}, file)
"""

WITH_LABELMILL = """
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelmill.apply import apply_functions
from labelmill.code import collect_code, functions_of, load_modules
from labelmill.records import ID
from labelmill.votes import LFInfo, LFTable

(module,) = load_modules(collect_code([Path(sys.argv[1])]))
lfs = functions_of(module)
table = LFTable(tuple(LFInfo(lf.name, "") for lf in lfs), ("web", "data"))
texts = pq.read_table(sys.argv[2])
texts = texts.append_column(ID, pa.array([str(n) for n in range(texts.num_rows)]))
votes, faults = [], 0
for batch in texts.combine_chunks().to_batches(max_chunksize=1_000):
    applied = apply_functions(batch, lfs, table)
    faults += sum(applied.outcomes.faults) + sum(applied.outcomes.invalid)
    for row in applied.votes.to_pylist():
        of_row = dict(zip(row["lfs"], row["labels"]))
        votes.append([of_row.get(n, -1) for n in range(len(lfs))])
with open(sys.argv[3], "w") as file:
    modules = sorted({type(lf).__module__ for lf in lfs})
    names = [lf.name for lf in lfs]
    json.dump({"names": names, "votes": votes, "faults": faults, "modules": modules}, file)
"""


@pytest.fixture(scope="module")
def snorkel_python():
    """Return the Python of an environment with Snorkel, made on first use."""
    script = ROOT / "scripts" / "side_environment.py"
    done = subprocess.run(
        [sys.executable, str(script), "snorkel"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        problem = f"Snorkel's environment cannot be made: {done.stderr.strip()[-300:]}"
        (pytest.fail if IN_CI else pytest.skip)(problem)
    return done.stdout.strip()


def some_texts():
    """Return short texts: real ones where the shared data is, else made ones."""
    source = DATA / "text_pypi" / "texts.parquet"
    if source.exists():
        column = pq.read_table(source, columns=["text"]).column("text").slice(0, 4 * ROWS)
        return [text for text in column.to_pylist() if text][:ROWS]
    parts = ("A web API.", "Data for Python", "csv to SQL for 3 files", "see http://x", "!")
    parts += ("frameworks everywhere",)
    return [" ".join(parts[(n * s + s) % 6] for s in range(1, 2 + n % 5)) for n in range(ROWS)]


@pytest.fixture(scope="module", params=["rows", "points"])
def snorkel(request, tmp_path_factory, snorkel_python):
    """Return a file, for PandasLFApplier's rows or LFApplier's points, and Snorkel's own votes."""
    folder = tmp_path_factory.mktemp("snorkel")
    texts = some_texts()
    pq.write_table(pa.table({"text": texts, "n": range(len(texts))}), folder / "texts.parquet")
    run([snorkel_python, "-c", MAKE_PIPELINE, str(folder / "pipeline")])
    text = SNORKEL_FILE.format(pipeline=(folder / "pipeline").as_posix())
    file = folder / "lfs.py"
    file.write_text(text + (CHAINED if request.param == "points" else ""), encoding="utf-8")
    return file, result_of(snorkel_python, WITH_SNORKEL, file, folder)


def run(command):
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def result_of(python, script, file, folder):
    texts, result = folder / "texts.parquet", folder / "result.json"
    run([str(python), "-c", script, str(file), str(texts), str(result)])
    return json.loads(result.read_text())


def check_same(result, expected):
    assert result["faults"] == 0
    assert result["names"] == expected["names"]
    ours, theirs = np.array(result["votes"]), np.array(expected["votes"])
    different = (ours != theirs).sum(axis=0)
    assert dict(zip(result["names"], different.tolist(), strict=True)) == dict.fromkeys(
        result["names"], 0
    )


def test_file_exercises_every_function(snorkel):
    votes = np.array(snorkel[1]["votes"])
    assert len(votes) == ROWS
    assert (votes >= 0).any(axis=0).all()
    assert (votes < 0).any(axis=0).sum() >= votes.shape[1] - 1  # one function always votes


def test_file_with_its_imports_changed_gives_the_same_votes(snorkel):
    file, expected = snorkel
    try:
        import spacy  # noqa: F401
    except ImportError:
        (pytest.fail if IN_CI else pytest.skip)("no spaCy here: pip install labelmill[nlp]")
    changed = file.parent / "changed" / "lfs.py"
    changed.parent.mkdir()
    text = file.read_text(encoding="utf-8")
    changed.write_text(text.replace("from snorkel.", "from labelmill.compat.snorkel."))

    result = result_of(sys.executable, WITH_LABELMILL, changed, file.parent)

    assert all(name.startswith("labelmill.compat.snorkel.") for name in result["modules"])
    check_same(result, expected)


def test_snorkels_own_objects_give_the_same_votes(snorkel, snorkel_python):
    file, expected = snorkel

    result = result_of(snorkel_python, WITH_LABELMILL, file, file.parent)

    assert all(name.startswith("snorkel.") for name in result["modules"])
    check_same(result, expected)

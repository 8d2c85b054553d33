"""The job file: what it means, and one clean line for everything that can be wrong with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from labelmill.errors import JobSpecError
from labelmill.jobfile import load_job
from labelmill.jobspec import json_schema, spec_content
from labelmill.paths import resolve_uri

ROOT = Path(__file__).resolve().parents[2]
JARGON = re.compile(
    r"Input should|valid (string|list|dict)|pydantic|instance of|Traceback|Spec\b|union"
)

GOOD = """\
name: spam
input:
  uri: data/*.jsonl
  id: id
labels: [ham, spam]
lfs:
  - lfs.py
  - keywords: {name: money, label: spam, words: [cash]}
  - regex: {name: link, label: 1, pattern: "http"}
gold:
  column: gold
output:
  uri: out/
"""


def write(tmp_path, text=GOOD):
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return path


def errors_of(tmp_path, text, overrides=()):
    with pytest.raises(JobSpecError) as caught:
        load_job(write(tmp_path, text), overrides)
    message = str(caught.value)
    assert not JARGON.search(message), message
    return message.replace(f"{tmp_path}/", "").split("\n")


def edit(old, new):
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_good_job_is_read_with_defaults(tmp_path):
    job, folder = load_job(write(tmp_path))
    assert folder == tmp_path.resolve()
    assert job.lfs[0] == "lfs.py"
    assert (job.lfs[1].keywords.words, job.lfs[2].regex.label) == (["cash"], 1)
    assert (job.gates.max_fault_rate, job.model.name, job.gold.fit) == (0.1, "default", 0.0)


PROBLEMS = [
    ("name: spam\n", "nam: spam\n", "job.yaml:1: unknown key 'nam'; did you mean 'name'?"),
    ("  id: id\n", "  idd: id\n", "job.yaml:4: unknown key 'idd'; did you mean 'id'?"),
    ("  id: id\n", "  zz: id\n", "job.yaml:4: unknown key 'zz'; keys here: uri, id, format,"),
    ("name: spam\n", "1: spam\n", "job.yaml:1: unknown key '1'; keys here: name,"),
    ("  uri: data/*.jsonl\n", "", "job.yaml:2: 'input.uri' is missing"),
    ("output:\n  uri: out/\n", "", "job.yaml: 'output' is missing"),
    ("name: spam\n", "name: 5\n", "job.yaml:1: name: must be text, got 5; quote it"),
    ("name: spam\n", "name:\n", "job.yaml:1: name: must be text, got nothing"),
    ("name: spam\n", "name: 2024-01-02\n", "job.yaml:1: name: must be text, got datetime"),
    ("name: spam\n", "name: ''\n", "job.yaml:1: name: must not be empty"),
    ("data/*.jsonl", "5", "job.yaml:3: input.uri: must be a path or URL, or a list of them, got 5"),
    ("data/*.jsonl", "[]", "job.yaml:3: input.uri: must be a path or URL, or a list of them"),
    ("data/*.jsonl", "[a, 5]", "job.yaml:3: input.uri: must be a path or URL, or a list of them"),
    ("uri: out/", "uri: ''", "job.yaml:13: output.uri: must not be empty"),
    (
        "output:\n  uri: out/\n",
        "output: out\n",
        "job.yaml:12: output: must be a section with keys uri",
    ),
    (
        "  id: id\n",
        "  format: xml\n",
        "job.yaml:4: input.format: must be 'parquet', 'jsonl' or 'csv'",
    ),
    ("  id: id\n", "  shard_mb: 0\n", "job.yaml:4: input.shard_mb: must be more than 0, got 0"),
    ("  id: id\n", "  shard_mb: .inf\n", "job.yaml:4: input.shard_mb: must be at most 4096"),
    ("  id: id\n", "  multiline: often\n", "job.yaml:4: input.multiline: must be true or false"),
    ("  id: id\n", "  delimiter: ab\n", "job.yaml:4: input.delimiter: must be one character"),
    (
        "  id: id\n",
        "  types: [a]\n",
        "job.yaml:4: input.types: must be a section of keys and values",
    ),
    ("  id: id\n", "  types: {str: 5}\n", "job.yaml:4: input.types.str: must be text, got 5"),
    ("  id: id\n", "  columns: text\n", "job.yaml:4: input.columns: must be a list, got 'text'"),
    ("[ham, spam]", "ham", "job.yaml:5: labels: must be a list, got 'ham'"),
    ("[ham, spam]", "[ham]", "job.yaml:5: labels: needs at least 2, got ['ham']"),
    (
        "[ham, spam]",
        "[yes, no]",
        "job.yaml:5: labels: True is not text; quote it (YAML reads bare yes",
    ),
    ("[ham, spam]", "[ham, 1]", "job.yaml:5: labels: 1 is not text; quote it"),
    ("[ham, spam]", "[ham, ham]", "job.yaml:5: labels: ham given twice"),
    ("[ham, spam]", "[ham, '']", "job.yaml:5: labels: a class name is empty"),
    (
        "  column: gold\n",
        "  column: gold\n  fit: 2\n",
        "job.yaml:12: gold.fit: must be at most 1, got 2",
    ),
    (
        "  column: gold\n",
        "  column: gold\n  fit: yes\n",
        "job.yaml:12: gold.fit: must be a number, got True",
    ),
    (
        "  column: gold\n",
        "  column: gold\n  fit: a\n",
        "job.yaml:12: gold.fit: must be a number, got 'a'",
    ),
    ("  column: gold\n", "  column: g\n  seed: -1\n", "job.yaml:12: gold.seed: must be at least 0"),
    (
        "  column: gold\n",
        "  column: g\n  seed: 1.5\n",
        "job.yaml:12: gold.seed: must be a whole number",
    ),
    ("  column: gold\n", "  fit: 0\n", "job.yaml:10: 'gold.column' is missing"),
    (
        "  - lfs.py\n",
        "  - 5\n",
        "job.yaml:7: lfs.0: must be a Python file, or a mapping with keywords",
    ),
    (
        "  - lfs.py\n",
        "  - \n",
        "job.yaml:7: lfs.0: must be a Python file, or a mapping with keywords",
    ),
    ("words: [cash]", "wrods: [cash]", "job.yaml:8: unknown key 'wrods'; did you mean 'words'?"),
    ("words: [cash]", "words: []", "job.yaml:8: lfs.1.keywords.words: needs at least 1, got []"),
    (
        "words: [cash]",
        "words: [no]",
        "job.yaml:8: lfs.1.keywords.words.0: must be text, got False; quote",
    ),
    (
        "label: spam",
        "label: yes",
        "job.yaml:8: lfs.1.keywords.label: must be a class name or index, got",
    ),
    (
        "label: spam",
        "label: 0.5",
        "job.yaml:8: lfs.1.keywords.label: must be a class name or index, got",
    ),
    (
        "  - keywords:",
        "  - keyword:",
        "job.yaml:8: unknown key 'keyword'; did you mean 'keywords'?",
    ),
    (
        '{name: link, label: 1, pattern: "http"}',
        "",
        "job.yaml:9: lfs.2.regex: must be a section with keys",
    ),
    (', pattern: "http"', "", "job.yaml:9: 'lfs.2.regex.pattern' is missing"),
    (
        "  - regex:",
        "    regex:",
        "job.yaml:9: one entry of `lfs` declares one function; put keywords and regex in two",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), PROBLEMS, ids=[p[2][9:50] for p in PROBLEMS])
def test_problem_is_one_line_with_file_line_and_remedy(tmp_path, old, new, expected):
    lines = errors_of(tmp_path, edit(old, new))
    found = [line for line in lines if line.startswith(expected)]
    others = [line for line in lines if line not in found and not line.endswith("is missing")]
    assert (len(found), others) == (1, []), lines


def test_empty_list_of_functions_is_refused(tmp_path):
    start, stop = GOOD.index("lfs:"), GOOD.index("gold:")
    for lfs, message in (("[]", "needs at least 1"), ("lfs.py", "must be a list")):
        text = f"{GOOD[:start]}lfs: {lfs}\n{GOOD[stop:]}"
        assert errors_of(tmp_path, text)[0].startswith(f"job.yaml:6: lfs: {message}")


def test_all_problems_are_told_at_once(tmp_path):
    text = GOOD.replace("id: id", "idd: id").replace("[ham, spam]", "[ham]").replace("out/", "5")
    assert [line.split(": ")[0] for line in errors_of(tmp_path, text)] == [
        *("job.yaml:4", "job.yaml:5", "job.yaml:13")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "job.yaml: a job file is a mapping with name"),
        ("- a\n", "job.yaml: a job file is a mapping with name"),
        ("name: x\ninput:\n\turi: a\n", "job.yaml:3: not YAML:"),
        ("name: [a\nlabels: b\n", "job.yaml:2: not YAML:"),
        ("name: a: b\n", "job.yaml:1: not YAML:"),
        ("a: 1\n---\nb: 2\n", "job.yaml:2: not YAML:"),
        ("name: !!python/object:os.system x\n", "job.yaml:1: not YAML:"),
        ("name: \0\n", "job.yaml: not YAML:"),
        ("name: 2024-13-45\n", "job.yaml: not YAML: month"),
        ("? [a]\n: 1\n", "job.yaml:1: not YAML:"),
        ("name: a\nname: b\n", "job.yaml:2: key 'name' is given twice"),
        ("input:\n  uri: a\n  id: b\n  uri: c\n", "job.yaml:4: key 'uri' is given twice"),
    ],
)
def test_file_that_is_no_yaml_mapping_is_told_with_its_line(tmp_path, text, expected):
    (line,) = errors_of(tmp_path, text)
    assert line.startswith(expected)


def test_missing_file_and_folder_are_told(tmp_path):
    with pytest.raises(JobSpecError, match="no such job file; `labelmill init`"):
        load_job(tmp_path / "none.yaml")
    with pytest.raises(JobSpecError, match="cannot be read"):
        load_job(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    with pytest.raises(JobSpecError, match="cannot be read"):
        load_job(tmp_path / "latin.yaml")


def test_overrides_are_applied_before_validation(tmp_path):
    job, _ = load_job(
        write(tmp_path),
        [
            "gates.min_coverage=0.5",
            "labels=[a, b, c]",
            "name=x=y",
            "input.id=",
            "runner.name=flink",
        ],
    )
    assert (job.gates.min_coverage, job.labels, job.name) == (0.5, ["a", "b", "c"], "x=y")
    assert (job.input.id, job.runner.name) == (None, "flink")


def test_override_may_fill_a_section_left_empty(tmp_path):
    job, _ = load_job(write(tmp_path, GOOD + "gates:\n"), ["gates.min_coverage=1"])
    assert job.gates.min_coverage == 1.0


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("output.uri", "--set output.uri: expected key=value, such as output.uri=out/"),
        ("=x", "--set =x: expected key=value"),
        ("a..b=1", "--set a..b=1: expected key=value"),
        ("name.first=1", "--set name.first=1: 'name' is not a section"),
        ("labels.0=x", "--set labels.0=x: 'labels' is not a section"),
        ("name=[", "--set name=[: the value is not YAML"),
        ("name=2024-13-45", "--set name=2024-13-45: the value is not YAML"),
        ("output.uri=5", "--set output.uri=5: output.uri: must be text, got 5; quote it"),
        ("outputs.uri=5", "--set outputs.uri=5: unknown key 'outputs'; did you mean 'output'?"),
        (
            "gates.max_row_los=1",
            "--set gates.max_row_los=1: unknown key 'max_row_los'; did you mean",
        ),
    ],
)
def test_wrong_override_is_told_as_such(tmp_path, override, expected):
    (line,) = errors_of(tmp_path, GOOD, [override])
    assert line.startswith(expected)


def test_relative_paths_start_at_the_job_files_folder(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    folder = tmp_path / "jobs"
    folder.mkdir()
    text = edit("column: gold\n", "column: gold\n  uri: gold.csv\n")
    job, _ = load_job(write(folder, text), ["input.uri=[a.csv, ../b.csv, s3://b/c.csv]"])
    assert job.input.uri == [f"{folder}/a.csv", f"{folder}/../b.csv", "s3://b/c.csv"]
    assert (job.output.uri, job.gold.uri) == (f"{folder}/out", f"{folder}/gold.csv")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("data/*.csv", "/jobs/data/*.csv"),
        ("./x", "/jobs/x"),
        ("/abs/x", "/abs/x"),
        ("~/x", "/home/me/x"),
        ("gs://bucket/x", "gs://bucket/x"),
        ("memory://x", "memory://x"),
        ("zip://a.csv::x.zip", "zip://a.csv::x.zip"),
    ],
)
def test_paths_and_urls_resolve(monkeypatch, uri, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve_uri(uri, Path("/jobs")) == expected


def test_home_of_nobody_is_told():
    with pytest.raises(JobSpecError, match="~nobody-of-this-name/x"):
        resolve_uri("~nobody-of-this-name/x", Path("/jobs"))


def test_schema_is_valid_and_accepts_jobs_that_load(tmp_path):
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    examples = sorted((ROOT / "examples").glob("*/job.yaml"))
    assert examples
    for path in (*examples, write(tmp_path)):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
        load_job(path)


def test_schema_refuses_unknown_keys():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(GOOD), "nam": 1}, json.loads(json_schema()))


def test_runner_and_output_are_no_part_of_what_determines_the_result(tmp_path):
    one, _ = load_job(write(tmp_path))
    other, _ = load_job(write(tmp_path), ["output.uri=elsewhere", "runner.name=flink"])
    changed, _ = load_job(write(tmp_path), ["gold.fit=0.5"])
    assert spec_content(one) == spec_content(other) != spec_content(changed)
    json.dumps(spec_content(one))


BAD_ENTRIES = {
    "{keywords: {name: k, label: a}}": "lfs.0.keywords: needs words or words_file, one of the two",
    "{all: {name: k, label: a, of: [x, {keyword: {words: [x]}}]}}": "'keyword'; did you mean 'keyw",
    "{all: {name: k, label: a, of: [{keywords: {wordz: [x]}}]}}": "'wordz'; did you mean 'words'?",
    "{any: {name: k, label: a, of: [{not: {regex: {pattern: 3}}}]}}": (
        "lfs.0.any.of.0.not.regex.pattern: must be text, got 3"
    ),
    "{none: {name: k, label: a, of: []}}": "lfs.0.none.of: needs at least 1, got []",
    "{none: {name: k, label: a, of: [3]}}": "lfs.0.none.of.0: must be the name of a function",
    "{field: p, op: '<', valu: 3, label: a}": "unknown key 'valu'; did you mean 'value'?",
    "{field: p, op: '<', value: 3}": "'lfs.0.label' is missing",
    "{at_least: {name: k, label: a, of: [x]}}": "'lfs.0.at_least.n' is missing",
    "{votes: {uri: x, from: y}}": "unknown key 'from'; keys here: uri, item",
    "{all: {name: k, label: a, of: [{regex: {pattern: x}, not: y}]}}": "one part of `of` declares",
}


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_what_is_wrong_with_a_declared_function_is_told_where_it_is(tmp_path, entry):
    path = tmp_path / "job.yaml"
    path.write_text(
        f"name: n\ninput: {{uri: x}}\nlabels: [a, b]\noutput: {{uri: o}}\nlfs:\n  - {entry}\n"
    )
    with pytest.raises(JobSpecError) as raised:
        load_job(path)
    assert str(raised.value).startswith(f"{path}:6: ")
    assert BAD_ENTRIES[entry] in str(raised.value)


def test_job_file_in_json_may_escape_characters_in_pairs(tmp_path):
    spec = yaml.safe_load(GOOD)
    spec["lfs"] = [
        {"keywords": {"name": "k", "label": 1, "words": ["\U0001f600", "\\ud83d\\ude00"]}}
    ]
    text = json.dumps(spec)
    assert r"\ud83d\ude00" in text

    job, _ = load_job(write(tmp_path, text))

    assert job.lfs[0].spec.words == ["\U0001f600", r"\ud83d\ude00"]


def test_half_of_an_escaped_pair_is_an_error_with_its_line(tmp_path):
    text = edit("[cash]", r'["\ud83d"]')

    [error] = errors_of(tmp_path, text)

    assert error.startswith("job.yaml:8: not YAML: ")

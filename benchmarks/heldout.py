"""Label models on sets that no constant of the default was chosen on.

Run it as `python -m benchmarks.heldout` from the root of the repository; it prints a table of
docs/label-models-compared.md. Nothing is downloaded. Functions: words in the names of Unicode
characters, with the general category as truth; thresholds that a person would set after a look at a
few records, on measurements that ship with scikit-learn. Crowds: readers of the same measurements
who each learned from a few records and some of the columns, so that they err together where
records are hard.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets import Trial
from benchmarks.quality import our_answers, side_by_side
from labelmodel import LabelModelWarning

CATEGORIES = "LMNPS"
WORDS = {
    "L": ["LETTER", "SYLLABLE", "IDEOGRAPH", "LIGATURE", "CAPITAL", "SMALL", "CHARACTER"],
    "M": ["VOWEL SIGN", "COMBINING", "MARK", "VIRAMA", "ACCENT", "TONE", "NUKTA"],
    "N": ["DIGIT", "NUMBER", "NUMERAL", "FRACTION", "HUNDRED", "ONE", "TEN", "NUMERIC"],
    "P": ["PUNCTUATION", "BRACKET", "QUOTATION", "DASH", "COMMA", "FULL STOP", "PARENTHESIS"],
    "S": ["SYMBOL", "SIGN", "ARROW", "BOX DRAWINGS", "WITH", "FACE", "TILE", "CIRCLED", "PATTERN"],
}
EVERY = 7
"""One character in seven is taken: neighbours in the table have names alike."""

LOOKED_AT = 40
READERS, READ, COLUMNS, LEARNED = 30, 5, 0.3, 25

MEASURED: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
    "wine": load_wine,
}


def characters() -> Trial:
    """Names of characters: a word votes for the category that its reader thinks of."""
    names, gold = [], []
    for code in range(0, 0x20000, EVERY):
        category = unicodedata.category(chr(code))[0]
        name = unicodedata.name(chr(code), "")
        # Half of all characters are ideographs and syllables whose name is a number.
        if category in CATEGORIES and name and not name.startswith(("CJK", "HANGUL SYL")):
            names.append(name)
            gold.append(CATEGORIES.index(category))
    columns = [
        np.where([word in name for name in names], CATEGORIES.index(category), -1)
        for category, words in WORDS.items()
        for word in words
    ]
    return _covered("characters", np.column_stack(columns), np.array(gold), len(CATEGORIES))


def thresholds(name: str, seed: int = 0) -> Trial:
    """Functions on measurements: the upper or lower fifth of a column is a class.

    Forty records are looked at; a threshold is set where four of them lie beyond it and .6 of
    these are of one class. They are not scored.
    """
    values, gold = MEASURED[name](return_X_y=True)
    rng = np.random.default_rng(seed)
    seen = rng.permutation(len(gold))[:LOOKED_AT]
    k = int(gold.max()) + 1
    columns = []
    for column in values.T:
        for beyond in (column > np.quantile(column, 0.8), column < np.quantile(column, 0.2)):
            counted = np.bincount(gold[seen][beyond[seen]], minlength=k)
            if counted.sum() >= 4 and counted.max() >= 0.6 * counted.sum():
                columns.append(np.where(beyond, counted.argmax(), -1))
    rest = np.setdiff1d(np.arange(len(gold)), seen)
    return _covered(name, np.column_stack(columns)[rest], gold[rest], k)


def readers(name: str, seed: int = 0) -> Trial:
    """Annotators of measurements: each knows 25 records by 3 in 10 columns, and reads some."""
    values, gold = MEASURED[name](return_X_y=True)
    rng = np.random.default_rng(seed)
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    said = np.empty((len(gold), READERS), dtype=np.int64)
    for reader in range(READERS):
        chosen = rng.random(values.shape[1]) < COLUMNS
        chosen[rng.integers(values.shape[1])] = True
        known = rng.permutation(len(gold))[:LEARNED]
        neighbour = KNeighborsClassifier(1).fit(values[known][:, chosen], gold[known])
        said[:, reader] = neighbour.predict(values[:, chosen])
    order = rng.random((len(gold), READERS)).argsort(axis=1)
    return _covered(f"{name} readers", np.where(order < READ, said, -1), gold, int(gold.max()) + 1)


def _covered(name: str, votes: np.ndarray, gold: np.ndarray, n_classes: int) -> Trial:
    covered = (votes >= 0).any(axis=1)
    return Trial(name, votes[covered], votes[covered], gold[covered], n_classes)


def classes_answered(trials: Sequence[Trial]) -> Iterator[str]:
    """Show how many classes the votes of each set name, and how many the default answers."""
    for trial in trials:
        answered = len(np.unique(our_answers(trial)["default"].argmax(axis=1)))
        named = len(np.unique(trial.votes[trial.votes >= 0]))
        size = f"{len(trial.gold):,} | {trial.votes.shape[1]}"
        yield f"| {trial.name} | {size} | {named} | {answered} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", action="store_true", help="leave crowd-kit and Snorkel out")
    packages = () if parser.parse_args().ours else ("crowdkit", "snorkel")
    warnings.simplefilter("ignore", LabelModelWarning)
    functions = [characters(), *(thresholds(name) for name in MEASURED)]
    crowds = [readers(name) for name in MEASURED]
    lines = [
        "| set | records | sources | classes voted | classes answered by the default |",
        "|---|---|---|---|---|",
        *classes_answered([*functions, *crowds]),
    ]
    for line in (
        *lines,
        *side_by_side("functions, held out", functions, packages),
        *side_by_side("crowds, held out", crowds, packages),
    ):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()

"""Gold: class names or indices, its split by id, and gold of a file joined to records."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import CorpusError
from labelmill.gold import GoldTable, gold_by_role, gold_indices, read_gold, split_gold
from labelmill.jobspec import GoldSpec

CLASSES = ("ham", "spam")


def indices(values):
    return gold_indices(values, CLASSES, "column 'gold' of f")


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["spam", None, "ham"]),
        pa.array(["spam", "", "ham"]),
        pa.array(["spam", None, "ham"]).dictionary_encode(),
        pa.array(["spam", None, "ham"], pa.large_string()),
        pa.array([1, None, 0]),
        pa.array([1, -1, 0], pa.int8()),
        pa.array([1, None, 0], pa.uint64()),
        pa.array([1.0, None, 0.0]),
        pa.array([1.0, float("nan"), 0.0], pa.float32()),
    ],
    ids=lambda values: str(values.type),
)
def test_names_and_indices_become_indices(values):
    assert indices(values).equals(pa.array([1, None, 0], pa.int16()))


def test_column_of_nulls_is_no_gold():
    assert indices(pa.nulls(2)).to_pylist() == [None, None]
    assert indices(pa.array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize(
    "values",
    [["SPAM"], ["1"], [2], [-2], [0.5], [float("inf")], [True, False], [[1]], [{"a": 1}]],
    ids=str,
)
def test_value_that_is_no_class_is_refused_by_place(values):
    with pytest.raises(CorpusError, match="column 'gold' of f"):
        indices(pa.array(values))


IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), unique=True, max_size=40)
GOLD = st.lists(st.integers(-1, 1), min_size=40, max_size=40)


def split(ids, gold, fit=0.5, seed=0):
    parts = split_gold(pa.array(ids, pa.string()), np.array(gold, np.int16), fit=fit, seed=seed)
    return [part.tolist() for part in parts]


@given(IDS, GOLD, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_roles_never_mix_and_lose_nothing(ids, gold, fit, seed):
    gold = gold[: len(ids)]
    informs, scores = split(ids, gold, fit, seed)
    assert all(a == -1 or b == -1 for a, b in zip(informs, scores, strict=True))
    assert [max(pair) for pair in zip(informs, scores, strict=True)] == gold


@given(IDS, GOLD, st.data())
def test_role_of_a_record_survives_resharding(ids, gold, data):
    gold = gold[: len(ids)]
    whole = dict(zip(ids, split(ids, gold)[0], strict=True))
    order = data.draw(st.permutations(range(len(ids))))
    cut = data.draw(st.integers(0, len(ids)))
    for part in (order[:cut], order[cut:]):
        part_ids = [ids[i] for i in part]
        assert split(part_ids, [gold[i] for i in part])[0] == [whole[name] for name in part_ids]


def test_share_and_seed_choose():
    ids, gold = [f"r{i}" for i in range(10_000)], [1] * 10_000
    chosen = [split(ids, gold, 0.2, seed)[0] for seed in (0, 1)]
    assert [part.count(1) for part in chosen] == pytest.approx([2000, 2000], rel=0.1)
    assert chosen[0] != chosen[1]
    assert split(ids, gold, 0.0) == [[-1] * 10_000, gold]
    assert split(ids, gold, 1.0) == [gold, [-1] * 10_000]


def test_more_fit_keeps_those_that_were_chosen():
    ids, gold = [f"r{i}" for i in range(1000)], [1] * 1000
    few, many = split(ids, gold, 0.2)[0], split(ids, gold, 0.4)[0]
    assert all(b == 1 for a, b in zip(few, many, strict=True) if a == 1)


def table_of(ids, classes):
    return GoldTable(pa.array(ids, pa.string()), pa.array(classes, pa.int16()), "gold.csv")


def test_gold_is_joined_by_id():
    table = table_of(["a", "b", "c", "a"], [1, None, 0, 1])
    found = table.lookup(pa.array(["c", "x", "a", "b"]))
    assert (found.to_pylist(), found.type) == ([0, None, 1, None], pa.int16())


def test_empty_gold_knows_nothing():
    assert table_of([], []).lookup(pa.array(["a"])).to_pylist() == [None]


def test_contradiction_is_refused():
    with pytest.raises(CorpusError, match=r"gold\.csv gives record 'a' two different labels"):
        table_of(["a", "a"], [0, 1])


def gold_file(tmp_path, text):
    path = tmp_path / "gold.csv"
    path.write_text(text)
    return GoldSpec(column="label", uri=str(path))


def test_gold_file_is_read_with_unknown_labels_left_blank(tmp_path):
    table = read_gold(gold_file(tmp_path, "id,label\na,spam\nb,\nc,ham\n"), CLASSES)
    assert table.lookup(pa.array(["a", "b", "c"])).to_pylist() == [1, None, 0]
    turned = read_gold(gold_file(tmp_path, "id,label\nc,ham\na,spam\n"), CLASSES)
    assert turned.digest == table.digest  # the content counts, not the form
    assert read_gold(gold_file(tmp_path, "id,label\na,ham\n"), CLASSES).digest != table.digest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,label\na,spam\na,ham\n", "two different labels"),
        ("id,label\na,eggs\n", "holds 'eggs', which is not a class"),
        ("id,other\na,spam\n", "has no column 'label'"),
        ("id,label\na,spam\nb,ham,c\n", r"gold\.csv:3: gold cannot be read"),
    ],
)
def test_what_is_wrong_with_a_gold_file_is_told(tmp_path, text, reason):
    with pytest.raises(CorpusError, match=reason):
        read_gold(gold_file(tmp_path, text), CLASSES)


def table_with_roles(roles=("fit", "eval", "fit")):
    ids, classes = pa.array(["a", "b", "c"]), pa.array([0, 1, None], pa.int16())
    return GoldTable(ids, classes, "f", pa.array(roles, pa.string()))


def test_role_in_the_file_decides_whatever_the_share():
    batch = pa.RecordBatch.from_pydict({"id": ["b", "a", "x"]})
    spec = GoldSpec(column="label", uri="f", role="role", fit=1.0)
    fit, scoring = gold_by_role(table_with_roles().add_to(batch), spec)
    assert fit.tolist() == [-1, 0, -1]
    assert scoring.tolist() == [1, -1, -1]


def test_role_is_part_of_the_digest():
    assert table_with_roles().digest != table_with_roles(("eval", "eval", "fit")).digest
    assert table_with_roles().digest == table_with_roles(("fit", "eval", "eval")).digest


def test_role_must_be_one_and_the_same():
    with pytest.raises(CorpusError, match="must be fit or eval"):
        table_with_roles(("fit", "score", "fit"))
    with pytest.raises(CorpusError, match="both roles"):
        GoldTable(
            pa.array(["a", "a"]), pa.array([0, 0], pa.int16()), "f", pa.array(["fit", "eval"])
        )


def test_role_needs_a_file():
    with pytest.raises(ValueError, match="needs uri"):
        GoldSpec(column="label", role="role")


def test_random_gold_for_the_fit_tells_the_balance():
    table = GoldTable(
        pa.array(["a", "b", "c", "d"]),
        pa.array([0, 1, 1, 1], pa.int16()),
        "f",
        pa.array(["fit", "fit", "eval", "fit"]),
        pa.array(["random", "uncertain", "random", "random"]),
    )
    assert table.balance(2) == [1, 1]
    assert table_with_roles().balance(2) is None


def test_chosen_needs_role():
    with pytest.raises(ValueError, match="chosen needs role"):
        GoldSpec(column="label", uri="f", chosen="chosen")

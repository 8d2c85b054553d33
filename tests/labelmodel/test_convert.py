from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from vote_strategies import simulated_crowd, vote_matrices

from labelmodel import (
    LabelModel,
    VotesError,
    from_crowdkit,
    from_snorkel,
    read_mace,
    read_wrench,
    write_mace,
    write_wrench,
)


@settings(max_examples=30, deadline=None)
@given(vote_matrices())
def test_a_snorkel_matrix_comes_back(case):
    votes, k, gold = case
    named = from_snorkel(votes, gold=gold, class_names=[f"c{label}" for label in range(k)])
    assert np.array_equal(named.dense(), votes)
    assert np.array_equal(named.gold, gold)
    assert named.n_classes == k
    assert named.record_ids == tuple(range(len(votes)))


def test_snorkel_names_are_kept_and_checked():
    votes = np.array([[0, -1], [1, 1]])
    named = from_snorkel(votes, lf_names=["a", "b"], class_names=["ham", "spam"])
    assert (named.source_names, named.class_names) == (("a", "b"), ("ham", "spam"))
    with pytest.raises(VotesError, match="not distinct"):
        from_snorkel(votes, lf_names=["a", "a"])
    with pytest.raises(VotesError, match="1 sources"):
        from_snorkel(votes, lf_names=["a"])
    with pytest.raises(VotesError, match="class 1 of 1 class names"):
        from_snorkel(votes, class_names=["ham"])
    with pytest.raises(VotesError, match="neither a class"):
        from_snorkel(np.array([[-2]]))
    with pytest.raises(VotesError, match="matrix of integers"):
        from_snorkel(np.array([[0.5]]))


def long_frame():
    return pd.DataFrame(
        {
            "task": ["t2", "t2", "t1", "t1", "t2"],
            "worker": ["ann", "bob", "ann", "cy", "ann"],
            "label": ["no", "no", "yes", "maybe", "yes"],
        }
    )


def test_a_crowdkit_frame_is_read_by_name():
    named = from_crowdkit(long_frame(), gold=pd.Series({"t1": "yes", "t9": "no"}))
    assert named.record_ids == ("t2", "t1")
    assert named.source_names == ("ann", "bob", "cy")
    assert named.class_names == ("maybe", "no", "yes")
    assert named.dense().tolist() == [[2, 1, -1], [2, -1, 0]]
    assert named.gold.tolist() == [-1, 2]


def test_the_last_answer_counts_and_the_frame_comes_back():
    frame = long_frame()
    back = pd.DataFrame(from_crowdkit(frame).long())
    last = frame.drop_duplicates(["task", "worker"], keep="last")
    columns = ["task", "worker", "label"]
    assert sorted(back[columns].itertuples(index=False, name=None)) == sorted(
        last[columns].itertuples(index=False, name=None)
    )


def test_crowdkit_frames_may_hold_numbers():
    votes, gold = simulated_crowd(n=60)
    tasks, workers = np.nonzero(votes >= 0)
    frame = pd.DataFrame({"task": tasks, "worker": workers, "label": votes[tasks, workers]})
    named = from_crowdkit(frame, gold=dict(enumerate(gold.tolist())))
    assert named.class_names == (0, 1, 2)
    model = LabelModel(named.n_classes).fit(named.votes)
    labels = named.labels(model.predict(named.votes))
    assert np.mean([labels[task] == gold[task] for task in range(60)]) > 0.6
    columns = named.probabilities(model.predict_proba(named.votes))
    assert pd.DataFrame(columns).set_index("task").sum(axis=1).to_numpy() == pytest.approx(1.0)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_empty_answers_and_missing_columns_are_refused(missing):
    with pytest.raises(VotesError, match="row 1 of column 'label' is empty"):
        from_crowdkit({"task": [1, 2], "worker": [1, 1], "label": ["a", missing]})
    with pytest.raises(VotesError, match="no column 'worker'"):
        from_crowdkit({"task": [1], "label": ["a"]})
    with pytest.raises(VotesError, match="do not sort"):
        from_crowdkit({"task": [1, 2], "worker": [1, 1], "label": ["a", 1]})


def wrench_document(votes, gold):
    return {
        str(row): {
            "label": int(gold[row]),
            "weak_labels": votes[row].tolist(),
            "data": {"text": "x"},
        }
        for row in range(len(votes))
    }


def test_a_wrench_folder_is_read_with_its_splits(tmp_path):
    votes, gold = np.array([[0, -1], [1, 1], [-1, 2]]), np.array([0, 1, 2])
    for split, row in (("train", 0), ("valid", 1), ("test", 2)):
        document = wrench_document(votes[[row]], gold[[row]])
        (tmp_path / f"{split}.json").write_text(json.dumps(document))
    (tmp_path / "label.json").write_text(json.dumps({"0": "a", "1": "b", "2": "c"}))
    named = read_wrench(tmp_path)
    assert named.record_ids == ("train/0", "valid/0", "test/0")
    assert named.class_names == ("a", "b", "c")
    assert np.array_equal(named.dense(), votes)
    in_train = np.array([key.startswith("train/") for key in named.record_ids])
    table = named.patterns(fit=in_train)
    assert sorted(table.gold.tolist()) == [-1, -1, 0]
    assert sorted(table.eval_gold.tolist()) == [-1, 1, 2]


def test_a_wrench_file_comes_back(tmp_path):
    votes, gold = simulated_crowd(n=30)
    named = from_snorkel(votes, gold=np.where(np.arange(30) % 2, gold, -1), record_ids=range(30))
    write_wrench(named, tmp_path / "all.json")
    again = read_wrench(tmp_path / "all.json")
    assert np.array_equal(again.dense(), votes)
    assert np.array_equal(again.gold, named.gold)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "not an object by id"),
        ('{"7": {"label": 0}}', "record 7 has no weak_labels"),
        ('{"7": {"label": 0, "weak_labels": [0.5]}}', "record 7 has labels other"),
        ('{"7": {"weak_labels": [0]}, "8": {"weak_labels": []}}', "record 8 has 0 weak labels"),
    ],
)
def test_other_wrench_files_are_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(VotesError, match=message):
        read_wrench(tmp_path / "x.json")
    with pytest.raises(VotesError, match="holds none of train, valid, test"):
        read_wrench(tmp_path)


def test_mace_files_are_read(tmp_path):
    (tmp_path / "answers.csv").write_text("NN,,VB\n,,\n\nVB,VB,VB\n")
    (tmp_path / "control.txt").write_text("NN\n\n\nVB\n")
    named = read_mace(tmp_path / "answers.csv", tmp_path / "control.txt")
    assert named.class_names == ("NN", "VB")
    assert named.source_names == ("a0", "a1", "a2")
    assert named.dense().tolist() == [[0, -1, 1], [-1] * 3, [-1] * 3, [1, 1, 1]]
    assert named.gold.tolist() == [0, -1, -1, 1]


@settings(max_examples=30, deadline=None)
@given(case=vote_matrices())
def test_mace_files_come_back(tmp_path_factory, case):
    votes, k, gold = case
    named = from_snorkel(votes, gold=gold, class_names=[f"c{label}" for label in range(k)])
    folder = tmp_path_factory.mktemp("mace")
    write_mace(named, folder / "answers.csv", folder / "control.txt")
    again = read_mace(folder / "answers.csv", folder / "control.txt")

    if votes.size:
        assert answers(again) == answers(named)


def answers(votes):
    """Class names of votes and gold, None for none."""
    names = [*votes.class_names, None]
    cells = np.column_stack([votes.dense(), votes.gold])
    return [[names[cell] for cell in row] for row in cells]


def test_other_mace_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\nx\n")
    with pytest.raises(VotesError, match="line 2 has 1 columns, others 2"):
        read_mace(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("x,y\n")
    (tmp_path / "c.txt").write_text("x\ny\n")
    with pytest.raises(VotesError, match="2 lines for 1 items"):
        read_mace(tmp_path / "a.csv", tmp_path / "c.txt")
    with pytest.raises(VotesError, match="cannot be read as CSV"):
        read_mace(tmp_path / "absent.csv")

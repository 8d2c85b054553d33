from __future__ import annotations

import apache_beam as beam
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.apply import Outcomes
from labelmill.manifest import FileEntry
from labelmill.shard import Shard
from labelmill.slicecounts import SliceCounts
from transforms.coders import RecordBatchCoder
from transforms.elements import FitResult, ShardLabels, ShardVotes

ENTRY = FileEntry("votes", "s", "votes/a.parquet", 3, 10, "0" * 64)
SHARD = Shard("/x/a.jsonl", "a.jsonl", "jsonl", None, 0, 10, 0, None, 10, "f")
OUTCOMES = Outcomes(3, (1, 2), (0, 1), (0, 0), (0.5, 0.25), ({}, {7: 3}))


@given(
    texts=st.lists(st.none() | st.text(), max_size=20),
    start=st.integers(0, 20),
    length=st.integers(0, 20),
)
def test_record_batch_survives_the_coder_as_a_slice(texts, start, length):
    batch = pa.RecordBatch.from_arrays(
        [pa.array(texts, pa.string()), pa.array([[n] * (n % 3) for n in range(len(texts))])],
        schema=pa.schema(
            [("text", pa.string()), ("list", pa.list_(pa.int64()))], metadata={"k": "v"}
        ),
    ).slice(start, length)
    coder = RecordBatchCoder()

    back = coder.decode(coder.encode(batch))

    assert back.equals(batch, check_metadata=True)


def test_slice_is_encoded_without_its_parents_rows():
    batch = pa.RecordBatch.from_pydict({"text": ["x" * 1000] * 1000})

    assert len(RecordBatchCoder().encode(batch.slice(0, 1))) < 3000


@pytest.mark.parametrize(
    "value",
    [
        SHARD,
        OUTCOMES,
        ShardVotes(SHARD, ENTRY, ENTRY, None, None, OUTCOMES, 0, 0, reused=False),
        ShardVotes(SHARD, ENTRY, ENTRY, ENTRY, ENTRY, OUTCOMES, 1, 2, reused=True),
        ShardVotes(SHARD, ENTRY, ENTRY, None, None, OUTCOMES, 0, 0, reused=False, slices=ENTRY),
        ShardLabels(ENTRY, 3, 2, (1, 1)),
        ShardLabels(ENTRY, 3, 2, (1, 1), slices=(SliceCounts(2, 1, (1, 0), 1, 2, 1, 9),)),
        FitResult("{}", (1, 2), {"lfs": [], "x": 0.1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_descriptor_survives_its_registered_coder(value):
    coder = beam.coders.registry.get_coder(type(value))

    assert coder.decode(coder.encode(value)) == value
    assert "ickle" not in type(coder).__name__

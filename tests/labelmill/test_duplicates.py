"""Repeated ids: counted exactly within a shard and across shards, whatever the cut."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.duplicates import (
    N_RANGES,
    count_repeats,
    id_digests,
    pack_digests,
    read_range,
    split_ranges,
)
from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry
from labelmill.store import Store

IDS = st.lists(st.sampled_from([f"id{i}" for i in range(30)] + ["", "ä"]), max_size=60)


def stored(store, name, ids):
    data, repeats = pack_digests(id_digests(pa.array(ids, pa.string())))
    file = store.put(f"ids/{name}.bin", data)
    return FileEntry.of(file, kind="ids", rows=len(ids) - repeats, shard=name), repeats


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store.open(tmp_path_factory.mktemp("out"))


@given(IDS)
def test_repeats_within_a_shard_are_exact(ids):
    assert pack_digests(id_digests(pa.array(ids, pa.string())))[1] == len(ids) - len(set(ids))


@given(IDS, st.randoms())
def test_file_does_not_depend_on_the_order_of_ids(ids, random):
    shuffled = random.sample(ids, len(ids))
    files = [pack_digests(id_digests(pa.array(v, pa.string())))[0] for v in (ids, shuffled)]
    assert files[0] == files[1]


@given(st.lists(IDS, max_size=4), st.integers(1, 40))
def test_repeats_across_shards_are_exact_for_any_cut(store, shards, ids_per_part):
    files = [stored(store, f"s{n}", ids) for n, ids in enumerate(shards)]
    everything = [name for ids in shards for name in ids]
    across = sum(
        count_repeats(read_range(store, file, first, stop) for file, _ in files)
        for first, stop in split_ranges(len(everything), ids_per_part)
    )
    within = sum(repeats for _, repeats in files)
    assert within + across == len(everything) - len(set(everything))


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_ranges_cover_all_once(n_ids, ids_per_part):
    ranges = split_ranges(n_ids, ids_per_part)
    assert [n for first, stop in ranges for n in range(first, stop)] == list(range(N_RANGES))


@pytest.mark.parametrize("size", [0, 100, -1])
def test_truncated_file_is_found_out(store, size):
    data, _ = pack_digests(id_digests(pa.array(["a"])))
    file = store.put("ids/cut.bin", data)
    store.put("ids/cut.bin", data[:size])
    entry = FileEntry.of(file, kind="ids", rows=1, shard="cut")
    with pytest.raises(CorruptFileError, match=r"ids/cut\.bin"):
        read_range(store, entry, 0, N_RANGES)


@pytest.mark.parametrize("shape", ["{}", "row-{:09d}", "{0}#{0}", "a/b/c.parquet#{}"])
def test_digests_of_similar_ids_differ(shape):
    ids = pa.array([shape.format(n) for n in range(300_000)])
    halves = np.frombuffer(id_digests(ids), dtype="<u8").reshape(-1, 2)
    for half in halves.T:
        assert len(np.unique(half)) == len(ids)
    assert not (halves[:, 0] == halves[:, 1]).any()


@pytest.mark.parametrize("before", ["", "a#"])
def test_millions_of_numbered_ids_differ(before):
    numbers = pa.array(np.arange(2_000_000)).cast(pa.string())
    digests = id_digests(pc.binary_join_element_wise(before, numbers, ""))
    assert pack_digests(digests)[1] == 0
    halves = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    ends = (halves[:, 0] & np.uint64(0xFFFF)) << np.uint64(16) | halves[:, 1] & np.uint64(0xFFFF)
    by_chance = len(ends) ** 2 / 2 / (1 << 32)  # as many pairs share 16 bits of both halves
    assert len(ends) - len(np.unique(ends)) == pytest.approx(by_chance, rel=0.25)


@given(st.text(max_size=40), st.text(min_size=1, max_size=10))
def test_beginnings_of_an_id_have_digests_of_their_own(text, more):
    whole = text + more
    beginnings = [whole[:length] for length in range(len(whole) + 1)]
    assert pack_digests(id_digests(pa.array(beginnings, pa.string())))[1] == 0


@given(st.lists(st.integers(0, 127), min_size=1, max_size=40), st.data())
def test_ids_that_differ_in_one_byte_have_digests_of_their_own(codes, data):
    at = data.draw(st.integers(0, len(codes) - 1))
    ids = [bytes([*codes[:at], byte, *codes[at + 1 :]]).decode() for byte in range(128)]
    halves = np.frombuffer(id_digests(pa.array(ids)), dtype="<u8").reshape(-1, 2)
    assert all(len(np.unique(half)) == len(ids) for half in halves.T)


def test_digests_are_the_same_on_every_machine():
    ids = pa.array(["", "a", "abcdefgh", "abcdefghi", "\u00e9\u4e2d\U0001f600", "row-000000001"])
    assert hashlib.sha256(id_digests(ids)).hexdigest()[:32] == "864238561d72c199f037235dded15540"
    assert id_digests(ids.cast(pa.large_string())) == id_digests(ids)


def test_null_is_no_id():
    with pytest.raises(ValueError, match="1 of 2 ids are null"):
        id_digests(pa.array(["a", None]))


@given(st.lists(st.text(max_size=40), unique=True, max_size=30), st.integers(0, 5))
def test_digest_depends_on_the_text_alone(texts, start):
    whole = np.frombuffer(id_digests(pa.array(["x"] * start + texts, pa.string())), dtype="<u8")
    alone = b"".join(id_digests(pa.array([text])) for text in texts)
    assert whole[2 * start :].tobytes() == alone
    assert len({alone[n : n + 16] for n in range(0, len(alone), 16)}) == len(texts)

"""Answers of a model, kept in the data set's store so that nothing is asked twice.

Answers are kept in segments: immutable Parquet objects named by the digest of their bytes. So
writers never conflict, and a segment that does not match its name is ignored.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from labelmill.errors import StoreError
from labelmill.prompttext import REFUSED, UNPARSED, Answer
from labelmill.store import Store

FLUSH_ANSWERS = 500
"""Answers that are written as one segment at the latest."""

FLUSH_SECONDS = 30.0
"""Seconds after which an answer is written at the latest."""

_READERS = 8
_SHOWN = 200
_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("kind", pa.string()),
        ("label", pa.string()),
        ("answer", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
    ]
)

_logger = logging.getLogger(__name__)


class AnsweredPrompt(NamedTuple):
    """An answer as it is stored.

    Attributes:
        answer: What it means.
        text: What the model said; its beginning is kept for people to read.
        prompt_tokens: As the endpoint counted them; None where it does not.
        completion_tokens: Likewise.
    """

    answer: Answer
    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


def prompt_key(prompt: str) -> bytes:
    """Return the 16 bytes under which the answer to a prompt is kept."""
    return hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class AnswerCache:
    """Answers to the prompts of one question, in memory and, with a store, in segments.

    Args:
        store: The data set; None to keep answers in memory only.
        folder: Folder of the question in it.
        classes: Answers with another class are ignored.
    """

    def __init__(self, store: Store | None, folder: str, classes: Collection[str]) -> None:
        self._store = store
        self._folder = folder
        self._known = {(a.kind, a.label): a for a in (REFUSED, UNPARSED)}
        self._known |= {("vote", label): Answer("vote", label) for label in classes}
        self._answers: dict[bytes, Answer] = {}
        self._read: set[str] = set()
        self._pending: dict[bytes, AnsweredPrompt] = {}
        self._pending_since = 0.0
        self._lock = threading.Lock()

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """Return the answers to prompts that have one.

        Segments that other processes have written since are read if one is missing.

        Raises:
            StoreError: The store cannot be read.
        """
        wanted = dict.fromkeys(keys)
        with self._lock:
            if self._store is not None and any(key not in self._answers for key in wanted):
                self._refresh(self._store)
        return self.in_memory(wanted)

    def in_memory(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """Return the answers to prompts that have one in this process, without reading any."""
        with self._lock:
            return {key: self._answers[key] for key in keys if key in self._answers}

    def add(self, key: bytes, answered: AnsweredPrompt) -> None:
        """Keep an answer; it is written with the others of its segment."""
        with self._lock:
            self._answers[key] = answered.answer
            if self._store is not None:
                self._pending_since = self._pending_since if self._pending else time.monotonic()
                self._pending[key] = answered

    def flush(self, *, only_if_due: bool = False) -> None:
        """Write the answers that are not yet written; what cannot be written is kept for later.

        Args:
            only_if_due: Wait for more while they are few and young.
        """
        with self._lock:
            is_due = len(self._pending) >= FLUSH_ANSWERS or (
                time.monotonic() - self._pending_since >= FLUSH_SECONDS
            )
            if self._store is None or not self._pending or (only_if_due and not is_due):
                return
            pending, self._pending = self._pending, {}
        data = _encode(pending)
        path = f"{self._folder}/{_digest(data)}.parquet"
        try:
            self._store.put(path, data)
        except StoreError as error:  # the answers were paid for and still count in this run
            _logger.warning("%d answers are not stored yet: %s", len(pending), error)
            with self._lock:
                self._pending = pending | self._pending
                self._pending_since = time.monotonic()
        else:
            with self._lock:
                self._read.add(path)

    def _refresh(self, store: Store) -> None:
        new = [path for path in store.list(self._folder) if path not in self._read]
        if not new:
            return
        with ThreadPoolExecutor(_READERS) as pool:
            for path, table in zip(new, pool.map(lambda p: _load(store, p), new), strict=True):
                self._read.add(path)
                if table is None:
                    continue
                columns = [table.column(name).to_pylist() for name in ("key", "kind", "label")]
                for key, kind, label in zip(*columns, strict=True):
                    answer = self._known.get((kind, label))
                    if answer is not None:  # of two answers the one in the first segment stays
                        self._answers.setdefault(key, answer)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _encode(answers: dict[bytes, AnsweredPrompt]) -> bytes:
    rows = [
        (
            key,
            item.answer.kind,
            item.answer.label,
            item.text[:_SHOWN].encode("utf-8", "replace").decode(),  # no lone surrogates
            item.prompt_tokens,
            item.completion_tokens,
        )
        for key, item in sorted(answers.items())
    ]
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
    ]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=_SCHEMA), sink, compression="zstd")
    return sink.getvalue()


def _load(store: Store, path: str) -> pa.Table | None:
    """Return a segment, or None if it is not what was written."""
    try:
        data = store.get(path)
        if PurePosixPath(path).name != f"{_digest(data)}.parquet":
            raise ValueError("it does not match its name")
        table = pq.read_table(io.BytesIO(data), columns=["key", "kind", "label"])
        if table.schema != pa.schema([_SCHEMA.field(n) for n in ("key", "kind", "label")]):
            raise ValueError(f"it has other columns: {table.schema.names}")
    except (FileNotFoundError, ValueError, KeyError, pa.ArrowException) as error:
        _logger.warning("answers in %s are ignored and asked again: %s", path, error)
        return None
    return table

"""Embeddings of texts that an encoder has seen lately, so that functions share them."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_REMEMBERED_BYTES = 1 << 25
"""Embeddings kept per encoder and generation: 21,000 of 384 dimensions."""


class EmbeddingMemory:
    """Embeddings of texts that an encoder has seen lately, for the functions that share it.

    Two generations: when the younger is full, it becomes the older, which is forgotten.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[bytes, Floats] = {}
        self._old: dict[bytes, Floats] = {}

    def embed(
        self, encode: Callable[[list[str]], Any], texts: list[str], version: object
    ) -> Floats:
        """Return the embeddings of texts, scaled to length 1; NaN where there is none.

        Args:
            encode: Makes vectors of texts.
            texts: At least one.
            version: What the vectors are made with, besides `encode`.

        Raises:
            ValueError: The encoder returned no matrix with a row per text.
        """
        keys = [_digest(text, repr(version).encode()) for text in texts]
        with self._lock:
            known = {k: v for k in keys if (v := self._young.get(k, self._old.get(k))) is not None}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            vectors = _unit(encode(list(new.values())), len(new))
            known.update((key, vector.copy()) for key, vector in zip(new, vectors, strict=True))
        with self._lock:
            self._young.update(known)
            size = known[keys[0]].nbytes
            if size * len(self._young) > _REMEMBERED_BYTES:
                self._young, self._old = {}, self._young
        return np.stack([known[key] for key in keys])


def _digest(text: str, prefix: bytes) -> bytes:
    content = prefix + text.encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


def _unit(output: Any, n_texts: int) -> Floats:
    vectors = np.asarray(output, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != n_texts:
        raise ValueError(
            f"the encoder returned an array of shape {vectors.shape} for {n_texts} texts; it must "
            "return one vector per text, shape (texts, dimensions)"
        )
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1  # no direction: similar to nothing
    lengths[np.isinf(lengths)] = np.nan
    unit: Floats = vectors / lengths
    return unit


_MEMORIES: weakref.WeakKeyDictionary[Any, EmbeddingMemory] = weakref.WeakKeyDictionary()
"""The memory of each encoder of this process, as long as the encoder is there."""
_LOCK = threading.Lock()


def memory_of(encoder: Any) -> EmbeddingMemory:
    """Return the memory of an encoder, the same to all functions that have it."""
    try:
        with _LOCK:
            return _MEMORIES.setdefault(encoder, EmbeddingMemory())
    except TypeError:  # neither hashable nor weakly referable: nothing is shared
        return EmbeddingMemory()

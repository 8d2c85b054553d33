"""`labelmill lfs --watch`: run the functions again whenever a file they are made of is saved.

Every run is a process of its own, which a later save ends: modules are always fresh, and an endless
loop that is saved by mistake ends with the next save. Nothing is printed here.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import watchfiles

from labelmill.errors import LabelmillError
from labelmill.jobfile import load_job
from labelmill.jobspec import JobSpec
from pipelines.lfs import SampleAnalysis, analyse_sample

MOST_FILES = 1000
"""Files that are watched at most; a job that reads more has them in folders that are watched."""

PRINTED = 4000
"""Characters kept of what functions print in a run."""

_POLL_MS = 100

Stamp = tuple[int, int] | None
"""Time of change and size of a file; None where there is none."""


@dataclass(frozen=True)
class Request:
    """What to run again and again: the arguments of `analyse_sample`, with the job still a file."""

    job: Path
    overrides: tuple[str, ...] = ()
    rows: int = 10_000
    examples: int = 0
    named: tuple[str, ...] = ()
    ask: bool = False


@dataclass(frozen=True)
class Report:
    """How a run ended.

    Attributes:
        found: The analysis; None when it failed.
        error: Why it failed, empty otherwise.
        printed: The end of what functions printed.
        seconds: Wall time.
        files: Every file that was read, as it was then.
    """

    found: SampleAnalysis | None
    error: str
    printed: str
    seconds: float
    files: Mapping[str, Stamp]


def watch_job(
    request: Request,
    show: Callable[[Report, int], None],
    changed: Callable[[Collection[str]], None],
) -> None:
    """Run the functions now and after every save, until Ctrl-C (or SIGTERM).

    What is watched: the job file, every file that the last run opened in its folder, beside its
    functions or by a name that the job gives (modules, word lists, gold, corpus files on this
    machine), and Python files beside them.

    Args:
        request: What to run.
        show: Called with each report, and the number of files that are watched then.
        changed: Called when a run begins, with the files that were saved.
    """
    changed(())
    stamps = _stamps([str(request.job)])
    run: _Run | None = _Run(request)
    for name in ("SIGTERM", "SIGHUP"):  # the run under way ends with this process
        with suppress(AttributeError, ValueError):  # no such signal, or not the main thread
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        while True:
            stale, run = _watch_folders(request, stamps, run, changed)
            if stale is not None:
                stamps = stale
                continue
            assert run is not None
            report, run = run.report(), None
            # After a failure the files of the run before still count: one of them may be at fault.
            kept = {} if report.found is not None else stamps
            stamps = {**kept, **_stamps(report.files), **report.files}
            show(report, len(stamps))
    except KeyboardInterrupt:
        pass
    finally:
        if run is not None:
            run.stop()


def _watch_folders(
    request: Request,
    stamps: Mapping[str, Stamp],
    run: _Run | None,
    changed: Callable[[Collection[str]], None],
) -> tuple[dict[str, Stamp] | None, _Run | None]:
    """Wait until a run ends, or until a file changes and a new run has been started.

    Returns:
        The new stamps after a change, else None; and the run that is under way or has ended.
    """
    folders = {os.path.dirname(path) for path in stamps}  # noqa: PTH120 - names, as reported
    events = watchfiles.watch(
        *sorted(filter(os.path.isdir, folders)),
        watch_filter=lambda _, path: path in stamps or path.endswith(".py"),
        recursive=False,
        debounce=400,
        step=50,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    look = True  # what was saved before the folders were watched is no event
    for event in events:
        if event or look:
            look = False
            now = {**dict.fromkeys(stamps), **_stamps(stamps)}
            saved = sorted(path for path in now if now[path] != stamps.get(path))
            if saved:
                if run is not None:
                    run.stop()
                changed(saved)
                return now, _Run(request)
        if run is not None and run.ended:
            return None, run
    raise KeyboardInterrupt  # watchfiles ends only when it is interrupted


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    """Return the stamps of files, and of the Python files in their folders."""
    named = {os.path.abspath(path) for path in paths}  # noqa: PTH100 - links stay links
    named |= {os.path.realpath(path) for path in named}
    for folder in {os.path.dirname(path) for path in named}:  # noqa: PTH120
        with suppress(OSError):
            named |= {e.path for e in os.scandir(folder) if e.name.endswith(".py")}
    return {path: _stamp(path) for path in named}


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every file that is opened
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


class _Run:
    """One run, in a process of its own."""

    def __init__(self, request: Request) -> None:
        # A fork has Beam imported already; elsewhere forks are not safe, and a run takes longer.
        method = "fork" if sys.platform == "linux" else "spawn"
        context: Any = multiprocessing.get_context(method)
        handle, self._log = tempfile.mkstemp(prefix="labelmill-", suffix=".log")
        os.close(handle)
        self._started = time.perf_counter()
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_run_apart, args=(request, sender, self._log))
        self._process.start()
        sender.close()

    @property
    def ended(self) -> bool:
        """Whether there is a report, or never will be one."""
        return self._receiver.poll() or not self._process.is_alive()

    def report(self) -> Report:
        """Return how the run ended."""
        found, error, files = None, "", {}
        try:
            found, error, files = self._receiver.recv()
        except EOFError:
            self._process.join()
            error = f"the functions ended the process ({_how(self._process.exitcode)})"
        seconds = time.perf_counter() - self._started
        printed = Path(self._log).read_text(encoding="utf-8", errors="backslashreplace")
        self.stop()
        return Report(found, error, printed[-PRINTED:], seconds, files)

    def stop(self) -> None:
        """End the process, and what it started."""
        if self._process.is_alive():
            with suppress(ProcessLookupError, PermissionError, AttributeError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        self._process.join()
        self._receiver.close()
        Path(self._log).unlink(missing_ok=True)


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def _run_apart(request: Request, sender: Connection, log: str) -> None:
    """Analyse the sample and send the result, or why there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that watches ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "setsid"):
        os.setsid()
    output = Path(log).open("a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = output
    reading = _FilesRead(log)
    sys.addaudithook(reading)  # a hook is for good; so is this process's end
    found, error = None, ""
    roots = [str(request.job.absolute()), f"{request.job.resolve().parent}{os.sep}"]
    try:
        job, folder = load_job(request.job, request.overrides)
        roots += _named_in(job)
        found = analyse_sample(
            job,
            folder,
            request.rows,
            examples=request.examples,
            named=request.named,
            ask=request.ask,
        )
    except LabelmillError as problem:
        error = str(problem)
    except BaseException as problem:  # SystemExit too
        frames = "".join(traceback.format_tb(problem.__traceback__)[-2:])
        error = f"{type(problem).__name__}: {problem}\n{frames}".rstrip()
    output.flush()
    roots += found.data_files if found is not None else ()
    sender.send((found, error, reading.files(tuple(roots))))
    sender.close()


class _FilesRead:
    """An audit hook that notes the files that are opened to be read, whoever opens them."""

    def __init__(self, log: str) -> None:
        paths = sysconfig.get_paths()
        installed = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        own = {str(Path(__file__).parents[1] / name) for name in _OWN_PACKAGES}
        self._without = tuple(f"{path}{os.sep}" for path in (*installed, *own, "/proc", "/dev"))
        self._read: dict[str, Stamp] = {}
        self._written = {log}

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(args[0]))  # noqa: PTH100
        if path.startswith(self._without) or f"{os.sep}__pycache__{os.sep}" in path:
            return
        mode, flags = args[1], args[2]
        writes = set(mode) & set("wax+") if mode else (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        if writes:
            self._written.add(path)
        elif len(self._read) < MOST_FILES:
            self._read.setdefault(path, _stamp(path))

    def files(self, roots: tuple[str, ...]) -> dict[str, Stamp]:
        """Return the files that were read and not written: a cache would change with every run.

        Args:
            roots: How paths begin that belong to the job; what a library reads of its own is none.
        """
        read = {path: at for path, at in self._read.items() if path not in self._written}
        return {path: at for path, at in read.items() if path.startswith(roots)}


def _named_in(job: JobSpec) -> list[str]:
    """Return how the paths begin of files that a job names, and of those beside its functions."""
    corpus = [job.input.uri] if isinstance(job.input.uri, str) else job.input.uri
    gold = [job.gold.uri] if job.gold is not None and job.gold.uri else []
    modules = [f"{Path(entry).parent}{os.sep}" for entry in job.lfs if isinstance(entry, str)]
    return [*(uri.partition("*")[0] for uri in corpus), *gold, *modules]


_OWN_PACKAGES = ("labelmill", "labelmodel", "transforms", "pipelines")

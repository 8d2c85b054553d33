#!/usr/bin/env python3
"""Run `labelmill run` on a job whose files may be in a bucket.

    run_job.py JOB [OPTIONS OF labelmill run]
    run_job.py plan|status|doctor|... ARGUMENTS        any other command of labelmill

JOB is the job file: a path, or any URL that fsspec reads, such as gs://team/jobs/spam/job.yaml. Of
a URL the whole folder is copied first, since functions and lists stand beside the job file. Input
and output of such a job have to be URLs too: relative paths would point into the copy.

The exit code is labelmill's: 0 done or nothing to do, 1 failed and may be tried again, 2 bad job or
arguments, 3 refused by a gate. 2 and 3 come again until somebody has looked.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

BAD_JOB = 2
FAILED = 1


class JobUnreadableError(Exception):
    """The job's folder cannot be copied; `exit_code` says whether to try again."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def fetch_job(uri: str, folder: Path) -> Path:
    """Copy the folder of a job file from a bucket.

    Args:
        uri: The job file.
        folder: Where to; empty.

    Returns:
        The job file in the folder.

    Raises:
        JobUnreadableError: It is not there, or the store does not answer.
    """
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        parent, _, name = path.rpartition("/")
        if not filesystem.isfile(path):
            raise JobUnreadableError(f"{uri}: no such job file", BAD_JOB)
        for source in filesystem.find(parent):
            target = folder / source.removeprefix(parent).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            filesystem.get_file(source, str(target))
    except JobUnreadableError:
        raise
    except (ImportError, ValueError) as error:  # no client for it, or no such scheme
        raise JobUnreadableError(f"{uri}: {error}", BAD_JOB) from error
    except Exception as error:  # every client has errors of its own
        message = f"{uri}: cannot be read: {type(error).__name__}: {error}"
        raise JobUnreadableError(message, FAILED) from error
    return folder / name


def main(arguments: Sequence[str]) -> None:
    """Run labelmill and exit as it does."""
    from pipelines import cli

    if arguments and arguments[0] in cli.cli.commands:
        cli.main()
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    job, *options = arguments
    with tempfile.TemporaryDirectory(prefix="labelmill-job-") as folder:
        if "://" in job:
            try:
                job = str(fetch_job(job, Path(folder)))
            except JobUnreadableError as error:
                print(f"error: {error}", file=sys.stderr)
                sys.exit(error.exit_code)
        sys.argv = ["labelmill", "run", job, *options]
        cli.main()


if __name__ == "__main__":
    main(sys.argv[1:])

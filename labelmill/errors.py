"""Every error that labelmill raises on purpose, with the exit code of the command line."""

from __future__ import annotations


class LabelmillError(Exception):
    """Base of all errors of labelmill; the message names the thing, the value and what to do."""

    exit_code = 1


class JobSpecError(LabelmillError, ValueError):
    """The job file or a command-line argument is wrong."""

    exit_code = 2


class LabelingFunctionError(JobSpecError):
    """A labeling function cannot be loaded or is declared wrongly."""


class CorpusError(LabelmillError, ValueError):
    """The corpus cannot be planned: no files, a missing column, files that do not fit together."""

    exit_code = 2


class CorpusReadError(LabelmillError, OSError):
    """A file of the corpus changed, vanished or broke while it was read."""


class StoreError(LabelmillError, OSError):
    """The object store does not do what labelmill needs, or stayed unreachable."""


class EndpointError(LabelmillError, OSError):
    """The endpoint gave no usable reply about a record; a fault of that record."""


class EndpointRefusedError(LabelmillError):
    """The endpoint refuses every request: the key, the account or its permissions are wrong."""


class AlreadyExistsError(StoreError):
    """A create-only put found other content under the name."""


class CorruptFileError(LabelmillError, ValueError):
    """A stored file does not hold what its manifest or its own checksum says."""


class NewerFormatError(CorruptFileError):
    """A stored file was written by a newer labelmill."""


class RecordsDifferError(LabelmillError):
    """A shard no longer has the records that its stored votes are of."""


class VersionNotFoundError(LabelmillError, LookupError):
    """The data set has no such version, or none at all."""


class RecordNotFoundError(LabelmillError, LookupError):
    """The version has no record with that id."""


class ConcurrentRefreshError(LabelmillError):
    """Another run published first; this one's plan is out of date."""


class RowAccountingError(LabelmillError):
    """Rows read, voted on, dead-lettered and labeled do not add up."""


class StillRunningError(LabelmillError):
    """The time to wait is over; the job goes on at the engine."""

    exit_code = 4


class EngineLostError(LabelmillError):
    """Nobody can be asked any more whether the job goes on."""


class GateRefusedError(LabelmillError):
    """A gate refused the new version; the last good one stays current."""

    exit_code = 3

"""What a Flink cluster says of itself and of a job, by its REST interface."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import requests

_SECONDS = 10

RUNNING = frozenset(
    ("INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "RECONCILING", "FAILING", "CANCELLING")
)
"""States in which a job has not ended."""


CLOCKS_DIFFER = datetime.timedelta(minutes=5)
"""By how much the clocks of launcher and cluster may differ."""


class FlinkUnreachableError(Exception):
    """Nothing that speaks Flink's REST interface answers."""


@dataclass(frozen=True)
class FlinkJob:
    """A job as Flink lists it.

    Attributes:
        id: Flink's id.
        state: Such as ``RUNNING``, ``FINISHED`` or ``FAILED``.
    """

    id: str
    state: str


@dataclass(frozen=True)
class FlinkOverview:
    """A cluster.

    Attributes:
        version: Flink's version.
        task_managers: Those that are registered.
        slots: Slots of all.
    """

    version: str
    task_managers: int
    slots: int


class FlinkRest:
    """A client of one cluster.

    Args:
        address: ``host:port`` of the JobManager's REST interface, or its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._base = address if "://" in address else f"http://{address}"

    def overview(self) -> FlinkOverview:
        """Return what the cluster consists of.

        Raises:
            FlinkUnreachableError: It does not answer.
        """
        found = self._get("overview")
        return FlinkOverview(
            str(found.get("flink-version")),
            int(found.get("taskmanagers", 0)),
            int(found.get("slots-total", 0)),
        )

    def find(self, name: str, since: datetime.datetime) -> FlinkJob | None:
        """Return the job with a name, the last one of several; None when there is none.

        Args:
            name: Its name.
            since: When it was submitted; what started clearly before is another.

        Raises:
            FlinkUnreachableError: The cluster does not answer.
        """
        first = (since - CLOCKS_DIFFER).timestamp() * 1000
        try:
            jobs = [
                job
                for job in self._get("jobs/overview")["jobs"]
                if job["name"] == name and job["start-time"] >= first
            ]
            if not jobs:
                return None
            last = max(jobs, key=lambda job: job["start-time"])
            return FlinkJob(str(last["jid"]), str(last["state"]))
        except (KeyError, TypeError) as error:
            raise FlinkUnreachableError(f"{self.address}: no list of jobs ({error})") from error

    def cancel(self, job: FlinkJob) -> None:
        """Cancel a job.

        Raises:
            FlinkUnreachableError: The cluster does not answer, or refuses.
        """
        try:
            answer = requests.patch(f"{self._base}/jobs/{job.id}?mode=cancel", timeout=_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise FlinkUnreachableError(f"{self.address}: {error}") from error

    def failure(self, job: FlinkJob) -> str:
        """Return why a job failed, in the first line of what Flink says; empty when nothing.

        Raises:
            FlinkUnreachableError: The cluster does not answer.
        """
        said = str(self._get(f"jobs/{job.id}/exceptions").get("root-exception") or "")
        return next((line.strip() for line in said.splitlines() if line.strip()), "")

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = requests.get(f"{self._base}/{path}", timeout=_SECONDS)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise FlinkUnreachableError(f"{self.address}: {error}") from error
        if not isinstance(found, dict):
            raise FlinkUnreachableError(f"{self.address} does not speak Flink's REST interface")
        return found

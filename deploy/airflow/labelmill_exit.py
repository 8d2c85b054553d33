"""What labelmill's exit codes mean to Airflow: which failures are tried again."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException, AirflowFailException

FINAL = {
    2: "bad job or arguments: mend the job file",
    3: "refused by a gate; the last good version stays: look, then run again with --accept GATE",
    4: "the engine still works on it; labelmill status tells how it ends",
}


def check_exit_code(code: int | None, what: str) -> None:
    """Raise what Airflow needs to see.

    Args:
        code: Exit code of labelmill; None when it is not known, as of a lost pod.
        what: What ran, for the message.

    Raises:
        AirflowFailException: Trying again would not help.
        AirflowException: It failed and may be tried again: stored work is taken.
    """
    if code in FINAL:
        raise AirflowFailException(f"{what}: exit code {code}, {FINAL[code]}")
    if code != 0:
        raise AirflowException(f"{what}: exit code {'unknown' if code is None else code}")

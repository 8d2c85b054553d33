"""Refresh labels every night with the command `labelmill` on Airflow's own workers.

Copy this file and labelmill_exit.py into Airflow's folder of DAGs. The environment variables
LABELMILL_JOB (job file) and LABELMILL_COMMAND (the command, such as /opt/labelmill/bin/labelmill:
an environment of its own, since Airflow and labelmill pin other versions of the same packages) say
what runs.
"""

from __future__ import annotations

import datetime
import os
import shlex
import subprocess
import sys

from airflow.sdk import DAG, task
from labelmill_exit import check_exit_code

with DAG(
    dag_id="labelmill_command",
    description="Refresh the labels of one job on a worker of Airflow",
    schedule="15 2 * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=datetime.timedelta(hours=12),
    default_args={
        "retries": 2,
        "retry_delay": datetime.timedelta(minutes=10),
        "retry_exponential_backoff": True,
        "execution_timeout": datetime.timedelta(hours=6),
    },
    tags=["labelmill"],
) as dag:

    @task
    def refresh() -> None:
        """Run labelmill; its output is the task's log."""
        command = shlex.split(os.environ.get("LABELMILL_COMMAND", "labelmill"))
        job = os.environ.get("LABELMILL_JOB", "/etc/labelmill/job.yaml")
        process = subprocess.Popen(
            [*command, "run", job], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
            code = process.wait()
        finally:  # the time limit of the task, or somebody who ends it
            if process.poll() is None:
                process.terminate()
                process.wait()
        check_exit_code(code, f"labelmill run {job}")

    refresh()

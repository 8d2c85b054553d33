"""Refresh labels every night in a pod of the image `labelmill-submit`.

Copy this file and labelmill_exit.py into Airflow's folder of DAGs, and set the constants. Needs
apache-airflow-providers-cncf-kubernetes and the service account of deploy/kubernetes/base. The pod
is the launcher; with FLAGS of a cluster (`--runner=flink`, `--job_endpoint=...`) or of Dataflow the
work is done there.
"""

from __future__ import annotations

import datetime
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import models as k8s
from labelmill_exit import check_exit_code

IMAGE = "registry.example.com/labelmill-submit:0.1.0"
NAMESPACE = "labelmill"
JOB = "s3://my-bucket/jobs/spam/job.yaml"
FLAGS: list[str] = []


class LabelmillOperator(KubernetesPodOperator):
    """A pod that runs labelmill; a refusal or a bad job is not tried again."""

    def cleanup(self, pod: k8s.V1Pod, remote_pod: k8s.V1Pod, *args: Any, **kwargs: Any) -> None:
        """Take leave of the pod, and tell failures apart by exit code."""
        try:
            super().cleanup(pod, remote_pod, *args, **kwargs)
        except AirflowException as error:
            try:
                check_exit_code(self.exit_code(remote_pod), f"pod {remote_pod.metadata.name}")
            except AirflowException as ours:
                raise ours from error
            raise

    def exit_code(self, pod: k8s.V1Pod) -> int | None:
        """Return the exit code of the container; None while it has none."""
        for status in (pod.status and pod.status.container_statuses) or []:
            if status.name == self.base_container_name and status.state.terminated:
                return int(status.state.terminated.exit_code)
        return None


with DAG(
    dag_id="labelmill_kubernetes",
    description="Refresh the labels of one job in a pod",
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
    LabelmillOperator(
        task_id="refresh",
        name="labelmill-refresh",
        namespace=NAMESPACE,
        image=IMAGE,
        arguments=[JOB, *FLAGS],
        service_account_name="labelmill",
        automount_service_account_token=False,
        security_context={
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        container_security_context={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "2", "memory": "4Gi"}, limits={"memory": "4Gi"}
        ),
        labels={"app": "labelmill-refresh"},
        on_finish_action="delete_succeeded_pod",
        get_logs=True,
        startup_timeout_seconds=900,
    )

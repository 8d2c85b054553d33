"""Load the DAGs with a real Airflow, and print what it sees; run by Airflow's Python."""

from __future__ import annotations

import http.server
import json
import sys
import tempfile
import threading
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

folder = sys.argv[1]
sys.path.insert(0, folder)  # as Airflow does with its own folder of DAGs
bag = DagBag(folder)

from labelmill_kubernetes import LabelmillOperator  # noqa: E402


class Cluster(http.server.BaseHTTPRequestHandler):
    """The API of a cluster in which there is one pod."""

    pod = k8s.V1Pod()

    def do_GET(self) -> None:
        """Show the pod, whatever is asked for."""
        body = json.dumps(ApiClient().sanitize_for_serialization(self.pod)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_PATCH = do_GET  # noqa: N815  # names of the base class

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def after(code: int | None, config_file: str) -> str:
    """Return the class and message of what the operator raises once its pod ended with a code."""
    terminated = None if code is None else k8s.V1ContainerStateTerminated(exit_code=code)
    status = k8s.V1ContainerStatus(
        name="base", image="i", image_id="i", ready=False, restart_count=0,
        state=k8s.V1ContainerState(terminated=terminated),
    )  # fmt: skip
    pod = Cluster.pod = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="p", namespace="n", labels={}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")]),
        status=k8s.V1PodStatus(
            phase="Succeeded" if code == 0 else "Failed", container_statuses=[status]
        ),
    )
    operator = LabelmillOperator(
        task_id=f"t{code}", image="i", name="p", namespace="n", config_file=config_file,
        log_events_on_failure=False,
    )  # fmt: skip
    try:
        operator.cleanup(pod, pod)
    except AirflowException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def facts(dag: Any) -> dict[str, Any]:
    """Return what the tests look at."""
    (task,) = dag.tasks
    return {
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "retries": task.retries,
        "has_time_limit": task.execution_timeout is not None and dag.dagrun_timeout is not None,
        "image": getattr(task, "image", None),
        "arguments": getattr(task, "arguments", None),
    }


server = http.server.ThreadingHTTPServer(("localhost", 0), Cluster)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {"name": "c", "cluster": {"server": f"http://localhost:{server.server_address[1]}"}}
    ],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "users": [{"name": "u", "user": {}}],
    "current-context": "c",
}
with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
    json.dump(config, file)
    file.flush()
    outcomes = {str(code): after(code, file.name) for code in (0, 1, 2, 3, 4, None)}
print(
    json.dumps(
        {
            "errors": bag.import_errors,
            "dags": {name: facts(dag) for name, dag in bag.dags.items()},
            "after": outcomes,
        }
    )
)

"""Flink and Spark on Kubernetes: what kustomize builds, object by object."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deploy_files import DEPLOY

from labelmill.jobfile import load_job

OVERLAYS = [f"{engine}/overlays/{name}" for engine in ("flink", "spark")
            for name in ("dev", "prod-s3", "prod-gcs")]  # fmt: skip
FLINK_SCHEMA = json.loads((Path(__file__).parent / "flink_deployment.schema.json").read_text())
WORKER_POOL = 50000

Objects = list[dict[str, Any]]


@pytest.fixture(scope="module")
def built(tool) -> Callable[[str], Objects]:
    """Return a function that gives the objects of an overlay."""
    made: dict[str, Objects] = {}

    def build(overlay: str) -> Objects:
        if overlay not in made:
            done = subprocess.run(
                [tool("kustomize"), "build", str(DEPLOY / overlay)],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            made[overlay] = list(yaml.safe_load_all(done.stdout))
        return made[overlay]

    return build


@pytest.fixture(params=OVERLAYS)
def objects(request, built) -> Objects:
    """The objects of each overlay in turn."""
    return built(request.param)


def one(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the spec of every pod that objects lead to."""
    for o in objects:
        if o["kind"] == "Deployment":
            yield o["metadata"]["name"], o["spec"]["template"]["spec"]
        elif o["kind"] == "CronJob":
            yield o["metadata"]["name"], o["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif o["kind"] == "FlinkDeployment":  # the operator merges the two by container name
            common = o["spec"]["podTemplate"]["spec"]
            (main,) = common["containers"]
            yield "jobmanager", {**common, "serviceAccountName": o["spec"]["serviceAccount"]}
            special = o["spec"]["taskManager"]["podTemplate"]["spec"]
            containers = [
                {**main, **c} if c["name"] == main["name"] else c for c in special["containers"]
            ]
            account = o["spec"]["flinkConfiguration"]["kubernetes.taskmanager.service-account"]
            merged = {**common, **special, "containers": containers}
            yield "taskmanager", {**merged, "serviceAccountName": account}


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def test_every_object_fits_the_schemas_of_kubernetes(objects, in_checkers):
    plain = [o for o in objects if o["kind"] != "FlinkDeployment"]
    assert len(plain) >= 9
    assert in_checkers("check_kubernetes.py", plain) == []


def test_schemas_catch_what_is_wrong(objects, in_checkers):
    job = one(objects, "CronJob", "labelmill-refresh")
    wrong = {**job, "spec": {**job["spec"], "concurencyPolicy": "Forbid"}}
    assert "concurencyPolicy" in in_checkers("check_kubernetes.py", [wrong])[0]


@pytest.mark.parametrize("overlay", [name for name in OVERLAYS if name.startswith("flink")])
def test_flink_deployment_and_its_pods_fit_their_schemas(overlay, built, in_checkers):
    deployment = one(built(overlay), "FlinkDeployment", "labelmill-flink")
    jsonschema.Draft202012Validator(FLINK_SCHEMA).validate(deployment)
    for template in (
        deployment["spec"]["podTemplate"],
        deployment["spec"]["taskManager"]["podTemplate"],
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "template"}, **template}
        assert in_checkers("check_kubernetes.py", [pod]) == []


def test_every_pod_meets_the_restricted_standard(objects):
    namespace = one(objects, "Namespace", "labelmill")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    found = dict(pods(objects))
    assert len(found) == 3
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(pod):
            context = container["securityContext"]
            where = f"{name} {container['name']}"
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["capabilities"]["drop"] == ["ALL"], where
            assert context.get("runAsUser", pod["securityContext"]["runAsUser"]) > 0, where


def test_every_container_of_ours_has_a_memory_limit_and_a_pinned_image(objects):
    for name, pod in pods(objects):
        for container in containers(pod):
            if container["name"] == "flink-main-container":
                continue  # the operator fills it in from `resource` and `image`
            assert container["resources"]["limits"]["memory"], f"{name} {container['name']}"
            assert ":" in container["image"].rpartition("/")[2], container["image"]
            assert not container["image"].endswith(":latest")


def test_a_pool_of_workers_stands_beside_every_engine_worker(objects):
    with_pool = [
        name for name, pod in pods(objects)
        for c in pod["containers"] if c.get("args") == ["pool", str(WORKER_POOL)]
    ]  # fmt: skip
    assert with_pool in (["taskmanager"], ["labelmill-spark-worker"])


def test_no_policy_lets_anyone_reach_a_worker_pool(objects):
    policies = [o["spec"] for o in objects if o["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    opened = [port for p in policies for rule in p.get("ingress", ()) for port in rule["ports"]]
    assert opened
    for port in opened:
        assert not port["port"] <= WORKER_POOL <= port.get("endPort", port["port"]), port
    for policy in policies:
        for rule in policy.get("ingress", ()):
            assert rule.get("from"), "an ingress rule without `from` lets everybody in"


def test_only_the_jobmanager_has_rights_and_only_those_it_needs(objects):
    bound = {
        subject["name"]
        for o in objects if o["kind"] == "RoleBinding" for subject in o["subjects"]
    }  # fmt: skip
    assert bound <= {"labelmill-flink"}
    assert not [o for o in objects if o["kind"].startswith("ClusterRole")]
    for role in (o for o in objects if o["kind"] == "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            assert "secrets" not in rule["resources"]
            if "pods" not in rule["resources"]:
                assert set(rule["verbs"]) <= {"get", "list", "watch"}
    for name, pod in pods(objects):
        assert pod["serviceAccountName"] == (
            "labelmill-flink" if name == "jobmanager" else "labelmill"
        )
    account = one(objects, "ServiceAccount", "labelmill")
    assert account["automountServiceAccountToken"] is False


def test_refreshes_never_overlap_and_end(objects):
    spec = one(objects, "CronJob", "labelmill-refresh")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] >= 600
    assert 0 < spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 86400


def test_what_trying_again_does_not_mend_is_not_tried_again(objects):
    job = one(objects, "CronJob", "labelmill-refresh")["spec"]["jobTemplate"]["spec"]
    rule = job["podFailurePolicy"]["rules"][0]
    (container,) = job["template"]["spec"]["containers"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {
        "containerName": container["name"], "operator": "In", "values": [2, 3, 4]
    }  # fmt: skip
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["backoffLimit"] > 0


def test_launcher_job_server_and_engine_name_each_other(objects):
    (pod,) = [pod for name, pod in pods(objects) if name == "labelmill-refresh"]
    (server,), (launcher,) = pod["initContainers"], pod["containers"]
    assert server["restartPolicy"] == "Always", "without it the pod waits for the server to end"
    given = dict(arg.split("=", 1) for arg in launcher["args"] if arg.startswith("--"))
    served = dict(arg.split("=", 1) for arg in server["args"] if arg.startswith("--"))
    assert given["--job_endpoint"] == f"localhost:{served['--job-port']}"
    assert served["--job-host"] == "localhost"
    probe = server["startupProbe"]["exec"]["command"]
    assert probe[-1].endswith(f"/dev/tcp/localhost/{served['--job-port']}")
    assert given["--environment_config"] == f"localhost:{WORKER_POOL}"
    if server["args"][0] == "flink":
        name = one(objects, "FlinkDeployment", "labelmill-flink")["metadata"]["name"]
        assert given["--flink_master"] == served["--flink-master"] == f"{name}-rest:8081"
    else:
        service = one(objects, "Service", "labelmill-spark")
        address = f"spark://labelmill-spark:{service['spec']['ports'][0]['port']}"
        assert served["--spark-master-url"] == address
        assert address in one(objects, "Deployment", "labelmill-spark-worker")["spec"]["template"][
            "spec"]["containers"][0]["args"]  # fmt: skip


def test_workers_beside_a_taskmanager_are_as_many_as_its_slots(built):
    for overlay in OVERLAYS[:3]:
        objects = built(overlay)
        (pod,) = [pod for name, pod in pods(objects) if name == "labelmill-refresh"]
        settings = one(objects, "FlinkDeployment", "labelmill-flink")["spec"]["flinkConfiguration"]
        slots = settings["taskmanager.numberOfTaskSlots"]
        assert f"--sdk_worker_parallelism={slots}" in pod["containers"][0]["args"]
        (parallelism,) = [v["value"] for v in pod["containers"][0]["env"]]
        assert int(parallelism) <= int(settings["slotmanager.number-of-slots.max"])


def test_flags_of_the_launcher_are_known(objects):
    from pipelines.beamflags import check_flags
    from pipelines.cli import run

    (pod,) = [pod for name, pod in pods(objects) if name == "labelmill-refresh"]
    job, *flags = pod["containers"][0]["args"]
    assert job == "/etc/labelmill/job/job.yaml"
    (parallelism,) = [v["value"] for v in pod["containers"][0]["env"]]
    given = [flag.replace("$(PARALLELISM)", parallelism) for flag in flags]
    context = run.make_context("run", [job, *given])
    check_flags(context.params["beam_flags"])
    assert context.params["overrides"] == ("runner.wait_hours=5.5",)


def test_job_of_the_config_map_is_a_valid_job(objects, tmp_path):
    (pod,) = [pod for name, pod in pods(objects) if name == "labelmill-refresh"]
    (name,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    for file, text in one(objects, "ConfigMap", name)["data"].items():
        (tmp_path / file).write_text(text)
    spec, _ = load_job(tmp_path / "job.yaml")
    assert "://" in spec.output.uri
    assert "://" in str(spec.input.uri)


def test_production_ties_the_pods_to_an_identity_of_the_cloud(built):
    for engine in ("flink", "spark"):
        for cloud, key in (("s3", "eks.amazonaws.com/role-arn"),
                           ("gcs", "iam.gke.io/gcp-service-account")):  # fmt: skip
            account = one(built(f"{engine}/overlays/prod-{cloud}"), "ServiceAccount", "labelmill")
            assert key in account["metadata"]["annotations"]

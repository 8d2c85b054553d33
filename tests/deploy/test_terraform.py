"""The Terraform files: formatted, and giving each identity what it needs and nothing else.

The providers are not to be had from a package registry, so `terraform validate` does not run here.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest
from deploy_files import DEPLOY

TERRAFORM = DEPLOY / "terraform"
FOLDERS = ["aws", "gcp"]
# What makes an identity more than one that labels: whoever gets here has the project.
TOO_MUCH = ("owner", "editor", "admin", "Admin", "FullAccess", "*")


@pytest.fixture(scope="module")
def read(in_checkers) -> dict[str, dict[str, Any]]:
    """The blocks of each folder."""
    found: dict[str, dict[str, Any]] = in_checkers(
        "read_terraform.py", [str(TERRAFORM / name) for name in FOLDERS]
    )
    return found


def blocks(folder: dict[str, Any], kind: str, what: str) -> dict[str, dict[str, Any]]:
    """Return the blocks of a type by name."""
    return {
        name: body
        for entry in folder[kind] for type_, named in entry.items() if type_ == what
        for name, body in named.items()
    }  # fmt: skip


def statements(aws: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the statements of each policy document, those made for each of a list included."""
    found = {}
    for name, document in blocks(aws, "data", "aws_iam_policy_document").items():
        plain = list(document.get("statement", ()))
        for entry in document.get("dynamic", ()):
            plain += entry["statement"]["content"]
        found[name] = plain
    return found


def test_files_are_formatted(system, tmp_path):
    done = subprocess.run(
        [system("terraform"), "fmt", "-check", "-recursive", "-diff", str(TERRAFORM)],
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_named_is_declared(folder, read):
    """What `terraform validate` would find first: a reference to nothing."""
    text = "\n".join(path.read_text() for path in sorted((TERRAFORM / folder).glob("*.tf")))
    variables = {name for entry in read[folder]["variable"] for name in entry}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    declared = {
        f"{'data.' if kind == 'data' else ''}{type_}.{name}"
        for kind in ("resource", "data")
        for entry in read[folder].get(kind, ()) for type_, named in entry.items()
        for name in named
    }  # fmt: skip
    prefix = {"aws": "aws", "gcp": "google"}[folder]
    for used in re.findall(rf"(?<![\w\"])((?:data\.)?{prefix}_\w+\.\w+)", text):
        assert used in declared, used
    for entry in read[folder]["variable"]:
        for name, body in entry.items():
            assert body["description"], name


def test_bucket_of_aws_is_private_versioned_and_cleans_up_uploads(read):
    aws = read["aws"]
    access = blocks(aws, "resource", "aws_s3_bucket_public_access_block")["labels"]
    assert [access[key] for key in access if key != "bucket"] == [True] * 4
    versioning = blocks(aws, "resource", "aws_s3_bucket_versioning")["labels"]
    assert versioning["versioning_configuration"][0]["status"] == "Enabled"
    rules = blocks(aws, "resource", "aws_s3_bucket_lifecycle_configuration")["labels"]["rule"]
    days = [
        rule["abort_incomplete_multipart_upload"][0]["days_after_initiation"]
        for rule in rules if "abort_incomplete_multipart_upload" in rule
    ]  # fmt: skip
    assert days == [7]
    assert not any("expiration" in rule for rule in rules), "current objects never expire by age"
    (deny,) = statements(aws)["tls_only"]
    assert (deny["effect"], deny["condition"][0]["values"]) == ("Deny", ["false"])


def test_bucket_of_gcp_is_private_versioned_and_cleans_up_uploads(read):
    bucket = blocks(read["gcp"], "resource", "google_storage_bucket")["labels"]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["force_destroy"] is False
    assert bucket["versioning"][0]["enabled"] is True
    rules = bucket["lifecycle_rule"]
    kinds = [rule["action"][0]["type"] for rule in rules]
    assert "AbortIncompleteMultipartUpload" in kinds
    for rule in rules:
        condition = rule["condition"][0]
        if rule["action"][0]["type"] == "Delete" and "age" in condition:
            assert condition["matches_prefix"] == ["tmp/"], "labels never expire by age"


def test_workers_of_aws_read_and_write_objects_of_their_bucket_only(read):
    allowed = statements(read["aws"])["data"]
    assert len(allowed) == 3
    actions = {action for statement in allowed for action in statement["actions"]}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
                       "s3:AbortMultipartUpload"}  # fmt: skip
    for statement in allowed:
        assert "*" not in statement["resources"]
        if {"s3:PutObject", "s3:DeleteObject"} & set(statement["actions"]):
            assert statement["resources"] == ["${aws_s3_bucket.labels.arn}/*"]


def test_no_statement_of_aws_allows_everything(read):
    for name, found in statements(read["aws"]).items():
        for statement in found:
            if statement.get("effect") == "Deny":
                continue
            assert not [a for a in statement["actions"] if "*" in a], name
            assert "*" not in statement.get("resources", ()), name
    for attached in blocks(read["aws"], "resource", "aws_iam_role_policy_attachment").values():
        assert not any(word in attached["policy_arn"].rpartition("/")[2] for word in TOO_MUCH)


def test_role_of_aws_is_for_one_subject(read):
    (statement,) = statements(read["aws"])["assume"]
    assert {condition["test"] for condition in statement["condition"]} == {"StringEquals"}
    checked = [condition["variable"].rpartition(":")[2] for condition in statement["condition"]]
    assert checked == ["sub", "aud"]


def test_scheduler_of_aws_starts_its_task_with_its_roles_only(read):
    run, give = statements(read["aws"])["scheduler"]
    assert run["actions"] == ["ecs:RunTask"]
    assert run["resources"] == ["${aws_ecs_task_definition.labelmill[0].arn}"]
    assert run["condition"][0]["variable"] == "ecs:cluster"
    assert give["actions"] == ["iam:PassRole"]
    assert len(give["resources"]) == 2
    assert give["condition"][0]["values"] == ["ecs-tasks.amazonaws.com"]


def grants(gcp: dict[str, Any], member: str) -> list[tuple[str, str, bool]]:
    """Return kind, role and whether a condition narrows it, of what an account is given."""
    return [
        (kind, body["role"], "condition" in body)
        for entry in gcp["resource"] for kind, named in entry.items() if kind.endswith("_member")
        for body in named.values()
        if body["member"] == f"${{google_service_account.{member}.member}}"
    ]  # fmt: skip


def test_workers_of_gcp_have_objects_of_a_bucket_and_dataflow(read):
    launcher = "${google_project_iam_custom_role.launcher.name}"
    assert sorted(grants(read["gcp"], "worker")) == [
        ("google_project_iam_member", launcher, False),
        ("google_project_iam_member", "roles/dataflow.worker", False),
        ("google_service_account_iam_member", "roles/iam.serviceAccountUser", False),
        ("google_storage_bucket_iam_member", "roles/storage.objectUser", False),
        ("google_storage_bucket_iam_member", "roles/storage.objectViewer", False),
    ]


def test_scheduler_of_gcp_launches_as_the_worker_and_reads_the_spec(read):
    found = grants(read["gcp"], "scheduler")
    assert ("google_storage_bucket_iam_member", "roles/storage.objectViewer", True) in found
    assert len(found) == 3
    roles = blocks(read["gcp"], "resource", "google_project_iam_custom_role")
    assert roles["launcher"]["permissions"] == [
        "dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"
    ]  # fmt: skip


def test_no_role_of_gcp_is_a_broad_one(read):
    roles = [
        body["role"]
        for entry in read["gcp"]["resource"] for kind, named in entry.items()
        if kind.endswith("_member") for body in named.values()
    ]  # fmt: skip
    assert len(roles) >= 8
    for role in roles:
        assert not any(word in role for word in TOO_MUCH), role


def test_scheduler_of_gcp_launches_what_dataflow_takes(read, in_checkers):
    """The body is HCL; what stands in it are names of the fields of Dataflow's API."""
    text = (TERRAFORM / "gcp" / "scheduler.tf").read_text()
    body = text[text.index("launchParameter") : text.index("}))")]
    named = set(re.findall(r"^\s+(\w+)\s+=", body, re.MULTILINE)) - {"launchParameter"}
    inner = {"maxWorkers", "serviceAccountEmail", "tempLocation", "stagingLocation"}
    assert inner < named
    launch = dict.fromkeys(named - inner - {"environment", "parameters"}, "x")
    environment = {name: 1 if name == "maxWorkers" else "x" for name in inner}
    document = launch | {"environment": environment, "parameters": {"job": "x"}}
    read_back = in_checkers("check_container_spec.py", {"kind": "launch", "value": document})
    assert read_back["environment"]["maxWorkers"] == 1

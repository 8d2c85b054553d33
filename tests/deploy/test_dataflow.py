"""The Flex Template: its parameters are the command line's, and its spec is one to Dataflow."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import subprocess
import sys
from types import ModuleType

import pytest
from deploy_files import DEPLOY

from pipelines.cli import run

DATAFLOW = DEPLOY / "dataflow"
PARAMETERS = {
    entry["name"]: entry
    for entry in json.loads((DATAFLOW / "metadata.json").read_text())["parameters"]
}
LEFT_OUT = {
    "runner": "always dataflow",
    "no_wait": "always: a launcher has to end once the job is built",
    "as_json": "nobody reads the launcher's standard output",
    "beam_flags": "Dataflow gives them itself, from the settings of the launch",
}
LAUNCHER_GIVES = [
    "--job_name=labelmill-refresh",
    "--project=p",
    "--region=europe-west1",
    "--temp_location=gs://b/tmp",
    "--staging_location=gs://b/tmp/staging",
    "--service_account_email=labelmill@p.iam.gserviceaccount.com",
    "--max_num_workers=50",
    "--machine_type=n2-standard-2",
    "--sdk_container_image=r/labelmill-worker:0.1.0",
    "--experiments=use_runner_v2",
    "--template_location=gs://b/tmp/template_launches/job_object",
]


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DATAFLOW / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def option_names() -> dict[str, str]:
    """Return the name as a parameter, by click's name, of what `labelmill run` takes."""
    return {
        str(p.name): p.opts[0].lstrip("-").replace("-", "_") if p.param_type_name == "option"
        else str(p.name)
        for p in run.params
    }  # fmt: skip


def test_every_parameter_is_an_option_of_run():
    assert set(PARAMETERS) <= set(option_names().values())


def test_every_option_of_run_is_a_parameter_or_left_out_for_a_reason():
    for name, parameter in option_names().items():
        assert (parameter in PARAMETERS) != (name in LEFT_OUT), name
    assert all(LEFT_OUT.values())


def test_only_what_run_requires_is_required():
    for p in run.params:
        parameter = PARAMETERS.get(option_names()[str(p.name)])
        if parameter is not None:
            assert parameter.get("isOptional", False) is not p.required, p.name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("job", "gs://team/jobs/spam/job.yaml", "s3://team/job.yaml"),
        ("set", "gold.fit=0.1;output.uri=gs://b/labels", "--gold"),
        ("accept", "label_shift;row_loss", "label shift"),
        ("full", "true", "yes"),
        ("verbose", "false", "1"),
    ],
)
def test_dataflow_checks_the_values(name, good, bad):
    (expression,) = PARAMETERS[name]["regexes"]
    assert re.fullmatch(expression, good)
    assert not re.fullmatch(expression, bad)


def test_launcher_makes_a_command_line_of_the_parameters():
    flex = module("flex_template")
    assert doctest.testmod(flex).failed == 0
    given = ["--job=gs://b/job.yaml", "--accept=row_loss;label_shift", "--full=false",
             "--verbose=true", "--runner=DataflowRunner"]  # fmt: skip
    job, *options = flex.command_line([*LAUNCHER_GIVES, *given])
    assert job == "gs://b/job.yaml"
    assert options == ["--runner=dataflow", "--no-wait", "--accept=row_loss",
                       "--accept=label_shift", "--verbose", *LAUNCHER_GIVES]  # fmt: skip


def test_flags_that_dataflow_gives_are_known():
    from pipelines.runners import check_flags

    check_flags(LAUNCHER_GIVES)


@pytest.mark.parametrize(
    ("given", "says"),
    [([], "`job` is missing"), (["--job=gs://b/j.yaml", "--full=yes"], "`full` is 'yes'")],
)
def test_wrong_parameters_are_told(given, says):
    with pytest.raises(SystemExit, match=says):
        module("flex_template").command_line(given)


def test_spec_is_one_to_dataflow(in_checkers):
    made = module("container_spec").container_spec("r", "0.1.0")
    read = in_checkers("check_container_spec.py", {"kind": "spec", "value": made})
    assert read["sdkInfo"]["language"] == "PYTHON"
    assert read["defaultEnvironment"]["sdkContainerImage"] == "r/labelmill-worker:0.1.0"
    assert [entry["name"] for entry in read["metadata"]["parameters"]] == list(PARAMETERS)


def test_dataflow_would_refuse_an_unknown_field(in_checkers):
    made = module("container_spec").container_spec("r", "0.1.0")
    with pytest.raises(AssertionError, match="sdkLanguage"):
        in_checkers("check_container_spec.py", {"kind": "spec", "value": made | {"sdkLanguage": 1}})


def test_spec_is_printed_for_the_command_line():
    done = subprocess.run(
        [sys.executable, str(DATAFLOW / "container_spec.py"), "r", "1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["image"] == "r/labelmill-dataflow-template:1"


def test_launch_hands_over_the_parameters(tmp_path):
    """With a gcloud that only notes what it is called with."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/notes\n')
    gcloud.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PROJECT": "p", "REGION": "r",
                   "TEMP": "gs://b/tmp", "SERVICE_ACCOUNT": "a@p"}  # fmt: skip
    command = [str(DATAFLOW / "launch.sh"), "gs://b/spec.json", "gs://b/job.yaml",
               "set=gold.fit=0.1;model.refit=never", "full=true"]  # fmt: skip
    subprocess.run(command, env=environment, check=True)
    notes = (tmp_path / "notes").read_text().splitlines()
    expected = "^~^job=gs://b/job.yaml~set=gold.fit=0.1;model.refit=never~full=true"
    assert f"--parameters={expected}" in notes

    del environment["REGION"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "launch.sh: set REGION\n")

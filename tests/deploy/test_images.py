"""The Dockerfile, and its build steps: no docker here, so each step is run without one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from deploy_files import DEPLOY, ROOT, shell_scripts

DOCKER = DEPLOY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
STAGES = {
    name: (base, body)
    for base, name, body in re.findall(
        r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
}
PUBLISHED = ("worker", "submit", "dataflow-template", "job-server")


def run(*command: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command without what this process set for its own Python."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=500, check=False, env=env or inherited,
    )  # fmt: skip


def test_dockerfile_has_no_finding(tool):
    found = run(tool("hadolint"), DOCKER / "Dockerfile")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda path: path.name)
def test_shell_script_has_no_finding(tool, script):
    found = run(tool("shellcheck"), script)
    assert found.returncode == 0, found.stdout
    assert script.stat().st_mode & 0o111, f"{script.name} is not executable"


def test_every_base_from_outside_is_pinned_by_version_and_digest():
    outside = [base for base, _ in STAGES.values() if base not in STAGES]
    assert len(outside) == 6
    for base in outside:
        assert re.fullmatch(r"[^@]+:[^@]+@\$\{\w+_DIGEST\}", base), base


@pytest.mark.parametrize("stage", PUBLISHED)
def test_published_image_runs_as_a_user_without_rights(stage):
    user = ""
    while stage in STAGES:
        base, body = STAGES[stage]
        user = user or (re.findall(r"^USER (\S+)", body, re.MULTILINE) or [""])[-1]
        stage = base
    assert user == "10001:10001"


def test_everything_copied_into_an_image_is_there_and_reaches_docker():
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for stage, (_, body) in STAGES.items():
        for copied in re.findall(r"^COPY (?!--from)(.+)$", body, re.MULTILINE):
            *sources, _ = [part for part in copied.split() if not part.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), f"{stage}: {source}"
                assert source.split("/")[0] in let_in, f"{stage}: {source} is ignored"


def test_labelmill_installs_in_the_pinned_versions_and_runs(tmp_path):
    wheels = tmp_path / "wheels"
    packed = tmp_path / "source"
    packed.mkdir()
    for name in re.findall(r"^COPY (\S+) \1$", STAGES["wheel"][1], re.MULTILINE):
        target = packed / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, packed)
    made = run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, packed
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = wheels.glob("labelmill-*.whl")
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"

    done = run(DOCKER / "install_labelmill.sh", python, wheel, "s3")

    assert done.returncode == 0, done.stderr
    pins = dict(
        line.split("==")
        for line in (DEPLOY / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    installed = run(python, "-m", "pip", "list", "--format", "freeze").stdout.splitlines()
    for line in installed:
        name, _, version = line.partition("==")
        if name not in ("labelmill", "pip", "setuptools", "wheel"):
            assert pins.get(name.lower().replace("_", "-").replace(".", "-")) == version, line
    assert run(tmp_path / "environment/bin/labelmill", "--version").stdout.startswith("labelmill")


@pytest.fixture(scope="module")
def flink_jars(tmp_path_factory, system) -> Path:
    """The jars of Flink's job server, as the image gets them."""
    system("mvn")
    folder = tmp_path_factory.mktemp("jars") / "flink"
    done = run(DOCKER / "install_jars.sh", "flink", "locked", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_jars_are_those_of_the_lock(flink_jars):
    assert len(list(flink_jars.glob("*.jar"))) == 163
    assert list(flink_jars.glob("beam-runners-flink-1.19-2.70.0.jar"))


def test_job_server_starts_from_the_baked_jars(flink_jars, system):
    system("java")
    shown = run(
        DOCKER / "job_server.sh", "flink", "--help", env={"PATH": "/usr/bin:/bin",
        "JOB_SERVER_JARS": str(flink_jars), "JAVA_OPTIONS": "-Xmx256m"},
    )  # fmt: skip
    assert "--flink-master" in shown.stdout + shown.stderr


def test_a_jar_that_differs_from_the_lock_is_refused(tmp_path, system):
    system("mvn")
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("terraform"))
    lock = tmp_path / "deploy" / "jars.lock"
    text = lock.read_text()
    lock.write_text(re.sub(r"(slf4j-simple:2\.0\.16) \w", r"\1 0", text))
    done = run(tmp_path / "deploy/docker/install_jars.sh", "flink", "locked", tmp_path / "jars")
    assert done.returncode == 1
    assert "slf4j-simple-2.0.16.jar: FAILED" in done.stdout + done.stderr

    lock.write_text(re.sub(r"^org\.slf4j:slf4j-simple.*\n", "", text, flags=re.MULTILINE))
    done = run(tmp_path / "deploy/docker/install_jars.sh", "flink", "locked", tmp_path / "jars")
    assert done.returncode == 1
    assert "jars that jars.lock does not have for flink: slf4j-simple-2.0.16.jar" in done.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("install_jars.sh", ["storm", "locked", "x"], "no engine storm"),
        ("install_jars.sh", ["flink"], "usage"),
        ("job_server.sh", [], "usage"),
        ("install_labelmill.sh", [], "usage"),
        ("build.sh", ["example.com"], "usage"),
    ],
)
def test_wrong_arguments_are_told_and_exit_2(script, arguments, says):
    done = run(DOCKER / script, *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_build_pins_each_base_once_and_hands_over_what_was_asked(tmp_path):
    """With a docker that only notes what it is called with: its own checks are not ours to test."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    shutil.copy(ROOT / "setup.py", tmp_path)
    notes = tmp_path / "notes"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    digest = f"sha256:{'0' * 64}"
    docker.write_text(
        f'#!/bin/sh\necho "$@" >>{notes}\ncase "$*" in *imagetools*) echo {digest};; esac\n'
    )
    docker.chmod(0o755)
    script = tmp_path / "deploy/docker/build.sh"
    command = [script, "example.com/team", "worker", "job-server-spark"]
    path = {"PATH": f"{docker.parent}:/usr/bin:/bin"}

    for _ in range(2):
        done = run(*command, env=path)
        assert done.returncode == 0, done.stderr

    lines = notes.read_text().splitlines()
    looked_up = [line for line in lines if "imagetools" in line]
    assert len(looked_up) == 5, "digests of the first build are written down"
    lock = (tmp_path / "deploy/docker/digests.lock").read_text()
    assert lock.count(digest) == 5
    given = {name for line in lines for name in re.findall(r"--build-arg (\w+)=", line)}
    wanted = set(re.findall(r"^ARG (\w+)$", DOCKERFILE, re.MULTILINE)) | {"ENGINE", "JARS"}
    assert given == wanted
    assert "example.com/team/labelmill-worker:0.1.0" in done.stdout

"""One version of everything: files of deploy/ name what setup.py and constraints.txt name."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from deploy_files import DEPLOY, ROOT

from scripts import deploy_tools

SETUP = (ROOT / "setup.py").read_text()
CONSTRAINTS = dict(
    line.split("==")
    for line in (DEPLOY / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
ROWS = [
    line.split()
    for line in (DEPLOY / "jars.lock").read_text().splitlines()
    if line and not line.startswith("#")
]
POM = "{http://maven.apache.org/POM/4.0.0}"


def ours() -> str:
    found = re.search(r'^ *version="(.*)",$', SETUP, re.MULTILINE)
    assert found is not None
    return found[1]


def argument(name: str) -> str:
    found = re.search(rf"^ARG {name}=(.*)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    return found[1]


def texts() -> list[tuple[Path, str]]:
    return [
        (path, path.read_text())
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file() and path.suffix in (".yaml", ".yml", ".py", ".sh", ".md", ".tf", ".json")
        and "__pycache__" not in path.parts
    ]  # fmt: skip


def test_beam_is_one_version():
    beam = CONSTRAINTS["apache-beam"]
    assert argument("BEAM_VERSION") == beam
    assert f'"apache-beam>={beam.rpartition(".")[0]},<' in SETUP
    fat = {row[0].rpartition(":")[2] for row in ROWS if row[2].endswith("-fat")}
    assert fat == {beam}


def test_python_is_one_version():
    python = argument("PYTHON_VERSION")
    assert f"(Python {python})" in (DEPLOY / "constraints.txt").read_text()
    assert f'python_requires=">={python}"' in SETUP
    assert f"python{python.replace('.', '')}-template-launcher-base" in DOCKERFILE
    workflow = yaml.safe_load((DEPLOY / "github" / "labelmill.yml").read_text())
    steps = workflow["jobs"]["refresh"]["steps"]
    assert [s["with"]["python-version"] for s in steps if "python-version" in s.get("with", {})] \
        == [python]  # fmt: skip


def test_labelmill_is_one_version():
    named = []
    for path, text in texts():
        for found in re.findall(r"labelmill(?:-[a-z-]+)?(?:\[\w+\])?(?::|==)(\d+\.\d+\.\d+)", text):
            named.append(found)
            assert found == ours(), path
    for engine in ("flink", "spark"):
        images = yaml.safe_load((DEPLOY / engine / "base" / "kustomization.yaml").read_text())
        for image in images["images"]:
            named.append(image["newTag"])
            assert image["newTag"] == ours(), image["name"]
    assert len(named) >= 8


def test_flink_is_one_version():
    (artifact,) = {
        row[0].split(":")[1] for row in ROWS
        if re.match(r"org\.apache\.beam:beam-runners-flink-[\d.]+:", row[0])
    }  # fmt: skip
    flink = artifact.rpartition("-")[2]
    assert any(row[0].split(":")[1] == f"{artifact}-job-server" for row in ROWS)
    session = yaml.safe_load((DEPLOY / "flink" / "base" / "session.yaml").read_text())["spec"]
    assert session["flinkVersion"] == f"v{flink.replace('.', '_')}"
    assert session["image"].startswith(f"flink:{flink}.")
    java = argument("JAVA_VERSION")
    assert session["image"].endswith(f"java{java}")


def test_spark_is_one_version():
    (spark,) = {
        row[0].split(":")[2] for row in ROWS if row[0].startswith("org.apache.spark:spark-core_")
    }
    for name in ("master", "worker"):
        text = (DEPLOY / "spark" / "base" / f"{name}.yaml").read_text()
        assert f"image: apache/spark:{spark}\n" in text


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_jars_of_the_pom_are_in_the_lock(engine):
    root = ET.parse(DEPLOY / "engines" / engine / "pom.xml").getroot()
    values = {child.tag.removeprefix(POM): child.text for child in root.find(f"{POM}properties")}
    declared = root.findall(f".//{POM}dependency")
    assert len(declared) >= 3
    locked = {row[0] for row in ROWS if engine in row[2].split(",")}
    for dependency in declared:
        group, artifact, version = (
            dependency.findtext(f"{POM}{part}") for part in ("groupId", "artifactId", "version")
        )
        assert version is not None
        assert f"{group}:{artifact}:{values[version.strip('${}')]}" in locked


def test_engines_pin_beam_alike():
    pins = []
    for engine in ("flink", "spark"):
        root = ET.parse(DEPLOY / "engines" / engine / "pom.xml").getroot()
        pins.append({
            child.tag: child.text for child in root.find(f"{POM}properties") if "beam" in child.tag
        })  # fmt: skip
    assert pins[0] == pins[1]


def test_lock_is_sorted_complete_and_names_no_place():
    assert [row[0] for row in ROWS] == sorted({row[0] for row in ROWS})
    for coordinates, digest, users in ROWS:
        assert 3 <= len(coordinates.split(":")) <= 4
        fat = users.endswith("-fat")
        assert re.fullmatch(r"[0-9a-f]{64}", digest) or (fat and digest == "unknown"), coordinates
    assert "://" not in (DEPLOY / "jars.lock").read_text()
    counts = [sum(user in row[2].split(",") for row in ROWS) for user in ("flink", "spark")]
    assert counts == [163, 263]


def test_no_file_names_a_registry_of_packages():
    for path, text in texts():
        for host in ("repo.maven", "pypi.org", "proxy.golang", "npmjs", "repo1."):
            assert host not in text, path


def test_tools_are_pinned_and_their_place_changes_with_the_pins():
    for wanted in deploy_tools.ENVIRONMENTS.values():
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", package) for package in wanted)
        digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
        assert any(digest in str(deploy_tools.environment(n)) for n in deploy_tools.ENVIRONMENTS)
    for module in deploy_tools.GO_MODULES.values():
        assert re.search(r"@v\d+\.\d+\.\d+$", module)


def test_metadata_of_the_template_is_json_that_a_person_reads():
    text = (DEPLOY / "dataflow" / "metadata.json").read_text()
    for entry in json.loads(text)["parameters"]:
        assert entry["helpText"].endswith((".", "labels")), entry["name"]

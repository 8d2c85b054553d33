"""Install the engines that the tests run on, and print where they are.

    python scripts/engines.py [flink] [spark] [prism] [dataflow]

They go into the cache beside labelmill's environments, outside the tree, each under the digest of
what it is made of, and are left alone when they are there. Flink and Spark need mvn and java, Prism
needs go; `dataflow` is a second environment, with apache-beam[gcp]. All four take about four
minutes the first time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill" / "engines"
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"
PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0"
GCP = "apache-beam[gcp]==2.77.0"


def jars(engine: str) -> Path:
    """Return the folder with the jars of the job server and the cluster, once installed."""
    return CACHE / f"{engine}-{_digest(_pom(engine))}"


def prism() -> Path:
    """Return the Prism program, once installed."""
    return CACHE / f"prism-{PRISM.rpartition('@')[2]}" / "prism"


def dataflow_python() -> Path:
    """Return the Python of the environment that has Dataflow's client, once installed.

    It may have another checkout of labelmill: run it with PYTHONPATH set to the one that is meant.
    """
    digest = _digest(CONSTRAINTS, ROOT / "setup.py", salt=GCP)
    return CACHE / f"dataflow-{digest}" / "bin" / "python"


def _digest(*files: Path, salt: str = "") -> str:
    digest = hashlib.sha256(salt.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _pom(engine: str) -> Path:
    return ROOT / "deploy" / "engines" / engine / "pom.xml"


def _install_jars(folder: Path, engine: str) -> None:
    command = [
        _tool("mvn", engine), "-B", "-q", "-U", "-f", str(_pom(engine)),
        "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}",
    ]  # fmt: skip
    _tool("java", engine)
    subprocess.run(command, check=True, stdout=sys.stderr)


def _install_prism(folder: Path, engine: str) -> None:
    environment = {**os.environ, "GOBIN": str(folder)}
    command = [_tool("go", engine), "install", PRISM]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def _install_dataflow(folder: Path, _engine: str) -> None:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--constraint", str(CONSTRAINTS)]
    subprocess.run([*pip, "--editable", str(ROOT), GCP], check=True, stdout=sys.stderr)


INSTALLERS: dict[str, tuple[Callable[[], Path], Callable[[Path, str], None]]] = {
    "flink": (lambda: jars("flink"), _install_jars),
    "spark": (lambda: jars("spark"), _install_jars),
    "prism": (prism, _install_prism),
    "dataflow": (dataflow_python, _install_dataflow),
}


def where(engine: str) -> Path:
    """Return what is there of an engine once it is installed: a folder of jars, or a program."""
    return INSTALLERS[engine][0]()


def install(engine: str) -> None:
    """Install an engine, unless it is there.

    Raises:
        subprocess.CalledProcessError: It cannot be fetched or built.
    """
    done, put = INSTALLERS[engine][0](), INSTALLERS[engine][1]
    folder = CACHE / done.relative_to(CACHE).parts[0]
    sign = folder / ".complete"
    if sign.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)  # of an installation that was interrupted
    folder.mkdir(parents=True)
    put(folder, engine)
    sign.touch()


def _tool(name: str, engine: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed; the tests on {engine} need it")
    return found


if __name__ == "__main__":
    for chosen in sys.argv[1:] or INSTALLERS:
        install(chosen)
        print(where(chosen))

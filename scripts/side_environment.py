"""Make an environment with a package that labelmill is compared with, and print its Python.

    python scripts/side_environment.py snorkel | crowdkit

It is made once, beside the other environments of labelmill, outside the tree. Both bring
gigabytes with them (PyTorch, transformers), which takes a few minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill"
PACKAGES = {
    "snorkel": ("snorkel==0.10.0", "spacy>=3.8,<3.9", "pyarrow", "fsspec", "numpy"),
    "crowdkit": (
        "crowd-kit==1.4.1",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "scipy==1.17.1",
        "scikit-learn==1.5.2",
    ),  # newer ones refuse crowd-kit's estimators
}


def side_python(name: str) -> Path:
    """Return the Python of the environment; makes it where it is not there or not complete.

    Raises:
        subprocess.CalledProcessError: The packages cannot be installed.
    """
    folder = CACHE / name
    python, ready = folder / "bin" / "python", folder / ".ready"
    wanted = "\n".join(PACKAGES[name])
    if ready.exists() and python.exists() and ready.read_text() == wanted:
        return python
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES[name]], check=True, stdout=sys.stderr)
    ready.write_text(wanted)
    return python


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PACKAGES:
        sys.exit(f"usage: side_environment.py {' | '.join(PACKAGES)}")
    print(side_python(sys.argv[1]))

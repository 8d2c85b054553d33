"""Print the name of the virtual environment that this checkout and this Python need."""

import hashlib
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
digest = hashlib.sha256()
for name in ("setup.py", "pyproject.toml", "deploy/constraints.txt"):
    digest.update((root / name).read_bytes())
digest.update(str(root).encode())  # the checkout is installed in place
print(f"{sys.version_info.major}.{sys.version_info.minor}-{digest.hexdigest()[:12]}")

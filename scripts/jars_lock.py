"""Write deploy/jars.lock from what Maven resolves for the POM files of deploy/engines.

    python scripts/jars_lock.py

Needed are mvn and Java. Checksums are of the jars as they arrived here; those of the fat job
servers, which are written down by the first build that fetches them, are kept.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "deploy" / "jars.lock"
ENGINES = {
    "flink": "beam-runners-flink-1.19-job-server",
    "spark": "beam-runners-spark-3-job-server",
}
UNKNOWN = "unknown"

HEAD = """\
# Jars of the job servers: group:artifact:version[:classifier], SHA-256, who uses it.
#
# `flink` and `spark` are the sets that deploy/engines/*/pom.xml resolve to and that the tests run;
# deploy/docker/install_jars.sh refuses a set with another jar, one more or one less. `flink-fat`
# and `spark-fat` are Beam's own job servers in the version of the Python SDK, for production. Where
# this file was written they could not be fetched, so their SHA-256 is `unknown`: Maven then checks
# the checksum that the repository itself publishes, and the build prints the SHA-256 to put here.
# Written by scripts/jars_lock.py.
"""


def resolved(engine: str, mvn: str) -> dict[str, str]:
    """Return the SHA-256 of each jar of an engine, by coordinates."""
    with tempfile.TemporaryDirectory(prefix="labelmill-jars-") as folder:
        subprocess.run(
            [
                mvn, "--batch-mode", "--quiet", "--strict-checksums",
                "--file", str(ROOT / "deploy" / "engines" / engine / "pom.xml"),
                "dependency:copy-dependencies", "-DincludeScope=runtime",
                "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={folder}",
            ],
            check=True, stdout=sys.stderr,
        )  # fmt: skip
        return {
            coordinates(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in Path(folder).rglob("*.jar")
        }


def coordinates(path: Path) -> str:
    """Return group:artifact:version[:classifier] of a path as Maven repositories lay it out."""
    *group, artifact, version, file = path.parts
    classifier = file.removesuffix(".jar").removeprefix(f"{artifact}-{version}").lstrip("-")
    return ":".join([".".join(group), artifact, version, *([classifier] if classifier else [])])


def known_fat_jars() -> dict[str, str]:
    """Return the checksums of fat job servers that somebody wrote down."""
    if not LOCK.exists():
        return {}
    rows = [line.split() for line in LOCK.read_text(encoding="utf-8").splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2].endswith("-fat")}


def main() -> None:
    """Write the file."""
    mvn = shutil.which("mvn")
    if mvn is None:
        sys.exit("mvn is not installed; the jars of the engines are resolved with it")
    users: dict[str, set[str]] = {}
    digests: dict[str, str] = {}
    for engine in ENGINES:
        for jar, digest in resolved(engine, mvn).items():
            users.setdefault(jar, set()).add(engine)
            digests[jar] = digest
    beam = re.search(
        r"^apache-beam==(\S+)$", (ROOT / "deploy/constraints.txt").read_text(), re.MULTILINE
    )
    assert beam is not None
    known = known_fat_jars()
    for engine, artifact in ENGINES.items():
        jar = f"org.apache.beam:{artifact}:{beam[1]}"
        users[jar], digests[jar] = {f"{engine}-fat"}, known.get(jar, UNKNOWN)
    lines = [f"{jar} {digests[jar]} {','.join(sorted(users[jar]))}" for jar in sorted(users)]
    LOCK.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {LOCK.relative_to(ROOT)}: {len(lines)} jars")


if __name__ == "__main__":
    main()

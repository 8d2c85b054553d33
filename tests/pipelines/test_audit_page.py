"""docs/howto/audit.md, run from its top to its end: the commands say what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from labelmill.audits import latest_audit
from labelmill.store import Store
from pipelines.cli import _main as labelmill_command

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "audit.md"
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(sh|python|yaml|text)\n(.*?)```\n", re.DOTALL)


def masked(text: str) -> list[str]:
    """Lines without ids of draws and with every number alike: Unicode grows from year to year."""
    text = re.sub(r"\b[0-9a-f]{10}\b", "ID", text)
    lines = [re.sub(r"[\d.,]+|\s+", lambda m: "#" if m[0].strip() else " ", one).strip()
             for one in text.splitlines()]  # fmt: skip
    return [line for line in lines if line]


def test_page_from_top_to_end(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    said, shown = "", 0
    for file, language, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if file:
            (tmp_path / file).write_text(code)
        elif language == "python":
            exec(compile(code, "page.py", "exec"), names)
        elif language == "sh":
            for line in code.splitlines():
                capfd.readouterr()
                assert labelmill_command(shlex.split(line, comments=True)[1:]) == 0, line
                said = capfd.readouterr().out
        elif language == "text":
            assert masked(code) == masked(said)
            shown += 1
    assert shown == 5

    labels = {row["id"]: row["label"] for row in _labels(tmp_path)}
    actual = sum(names["truth"](name) == label for name, label in labels.items()) / len(labels)
    found = latest_audit(Store.open(str(tmp_path / "out")), 1)
    assert found is not None
    assert found.population == len(labels)
    assert found.low <= actual <= found.high
    assert (yaml.safe_load((tmp_path / "job.yaml").read_text()))["name"] == "names"


def _labels(folder: Path) -> list[dict[str, object]]:
    import labelmill

    return labelmill.open_labels(folder / "out", covered=True).to_table().to_pylist()

"""The JSON Schema of manifests."""

import json

import jsonschema
import pytest

from labelmill.manifest import FORMAT_VERSION
from labelmill.manifestschema import manifest_schema
from labelmill.store import Store
from labelmill.versions import manifest_path
from pipelines.cli import _main as labelmill_command


def test_a_real_manifest_fits_and_a_changed_one_does_not(make_job):
    job = make_job()
    assert labelmill_command(["run", str(job)]) == 0
    schema = json.loads(manifest_schema())
    document = json.loads(Store.open(job.parent / "out").get(manifest_path(1)))

    jsonschema.validate(document, schema)

    assert document.keys() == schema["properties"].keys()
    for key, value in (
        ("version", "1"),
        ("format_version", FORMAT_VERSION + 1),
        ("files", [{"kind": "secret"}]),
        ("shards", [{"uri": 1}]),
        ("unknown", 1),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, key: value}, schema)


def test_the_command_prints_it(capfd):
    assert labelmill_command(["schema", "manifest"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads(manifest_schema())

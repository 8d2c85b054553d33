"""Read a container spec as Dataflow types it, and print it back; run by the checkers' Python."""

from __future__ import annotations

import json
import sys

from google.cloud.dataflow_v1beta3.types import ContainerSpec, LaunchFlexTemplateParameter

document = json.load(sys.stdin)
kind = {"spec": ContainerSpec, "launch": LaunchFlexTemplateParameter}[document["kind"]]
message = kind.from_json(json.dumps(document["value"]))  # an unknown field is an error
print(kind.to_json(message, including_default_value_fields=False, use_integers_for_enums=False))

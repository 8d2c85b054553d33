"""Print what is wrong with the Kubernetes objects given as JSON; run by the checkers' Python."""

from __future__ import annotations

import json
import sys

import kubernetes_validate

VERSION = "1.37"

problems = []
for document in json.load(sys.stdin):
    name = f"{document['kind']} {document.get('metadata', {}).get('name', '')}"
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except Exception as error:
        problems.append(f"{name}: {error}")
print(json.dumps(problems))

#!/usr/bin/env bash
# Install labelmill into the environment of a Python, in the versions of constraints.txt.
#
#   install_labelmill.sh PYTHON WHEEL EXTRA[,EXTRA...]
set -euo pipefail

if [ $# -ne 3 ]; then
  echo "usage: install_labelmill.sh PYTHON WHEEL EXTRA[,EXTRA...]" >&2
  exit 2
fi
python=$1 wheel=$2 extras=$3
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/constraints.txt

"$python" -m pip install --no-compile --quiet --disable-pip-version-check \
  --root-user-action ignore --constraint "$constraints" "labelmill[$extras] @ file://$wheel"
"$python" -m pip check --disable-pip-version-check
# What the launcher and the workers need must be there now, not at two in the morning.
"$python" -c 'import apache_beam, labelmill, labelmodel, pipelines.cli, transforms'

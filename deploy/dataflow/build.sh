#!/usr/bin/env bash
# Build and publish the Flex Template: both images, and the spec that names them.
#
#   build.sh REGISTRY gs://BUCKET/PATH/labelmill.json
#
# REGISTRY such as europe-west1-docker.pkg.dev/PROJECT/labelmill, which docker may push to.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: build.sh REGISTRY gs://BUCKET/PATH/labelmill.json" >&2
  exit 2
fi
registry=$1 target=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's/^ *version="\(.*\)",$/\1/p' "$here/../../setup.py")

PUSH=1 "$here/../docker/build.sh" "$registry" worker dataflow-template
python3 "$here/container_spec.py" "$registry" "$version" | gcloud storage cp - "$target"
echo "$target"

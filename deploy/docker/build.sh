#!/usr/bin/env bash
# Build labelmill's images, each base pinned by the digest that deploy/docker/digests.lock has.
#
#   build.sh REGISTRY TARGET...        such as build.sh example.com/team worker submit job-server-flink
#
# Targets: worker submit dataflow-template job-server-flink job-server-spark
# PUSH=1 pushes them. JARS=locked bakes the jars of jars.lock instead of Beam's fat job server.
# A base without a digest in the file is looked up once and written there; commit the file.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: build.sh REGISTRY TARGET..." >&2
  exit 2
fi
registry=$1
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dockerfile=$root/deploy/docker/Dockerfile
lock=$root/deploy/docker/digests.lock

# Print the default of an argument of the Dockerfile.
argument() {
  sed -n "s/^ARG $1=//p" "$dockerfile" | head -n 1
}

# Print the digest of a base image.
digest() {
  local found
  found=$(awk -v image="$1" '$1 == image { print $2 }' "$lock")
  if [ -z "$found" ]; then
    found=$(docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}')
    echo "$1 $found" >>"$lock"
    echo "wrote the digest of $1 to deploy/docker/digests.lock; commit it" >&2
  fi
  echo "$found"
}

python=$(argument PYTHON_VERSION) beam=$(argument BEAM_VERSION) java=$(argument JAVA_VERSION)
version=$(sed -n 's/^ *version="\(.*\)",$/\1/p' "$root/setup.py")
digests=(
  --build-arg "PYTHON_DIGEST=$(digest "python:$python-slim-bookworm")"
  --build-arg "BEAM_DIGEST=$(digest "apache/beam_python${python}_sdk:$beam")"
  --build-arg "MAVEN_DIGEST=$(digest "maven:3.9-eclipse-temurin-$java")"
  --build-arg "JRE_DIGEST=$(digest "eclipse-temurin:$java-jre")"
  --build-arg "LAUNCHER_DIGEST=$(digest gcr.io/dataflow-templates-base/python311-template-launcher-base:latest)"
)
output=--load
[ "${PUSH:-}" = 1 ] && output=--push

for target in "$@"; do
  arguments=("${digests[@]}" --build-arg "JARS=${JARS:-fat}")
  case $target in
    worker | submit | dataflow-template) stage=$target ;;
    job-server-flink | job-server-spark)
      stage=job-server
      arguments+=(--build-arg "ENGINE=${target##*-}")
      ;;
    *)
      echo "build.sh: no target $target" >&2
      exit 2
      ;;
  esac
  docker buildx build "$output" --file "$dockerfile" --target "$stage" "${arguments[@]}" \
    --tag "$registry/labelmill-$target:$version" "$root"
  echo "$registry/labelmill-$target:$version"
done

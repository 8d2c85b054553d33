#!/usr/bin/env bash
# Install the jars of a Beam job server into a folder, and check each against jars.lock.
#
#   install_jars.sh flink|spark locked|fat FOLDER
#
# locked: the set of deploy/engines/ENGINE/pom.xml, jar by jar what jars.lock says.
# fat: Beam's own job server in the version of the Python SDK. Maven checks the checksum that the
#   repository publishes; jars.lock is checked too as soon as it has one.
set -euo pipefail

if [ $# -ne 3 ]; then
  echo "usage: install_jars.sh flink|spark locked|fat FOLDER" >&2
  exit 2
fi
engine=$1 kind=$2 folder=$3
deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$deploy/jars.lock

case $engine in flink | spark) ;; *)
  echo "install_jars.sh: no engine $engine; flink or spark" >&2
  exit 2
  ;;
esac

maven() {
  mvn --batch-mode --quiet --strict-checksums "$@"
}

# Print `SHA-256  FILE` of every jar that a user of the lock has.
locked() {
  awk -v user="$1" '
    /^#/ || NF != 3 { next }
    {
      n = split($3, users, ",")
      for (i = 1; i <= n; i++) if (users[i] == user) {
        parts = split($1, part, ":")
        print $2 "  " part[2] "-" part[3] (parts > 3 ? "-" part[4] : "") ".jar"
      }
    }' "$lock"
}

mkdir -p "$folder"
case $kind in
  locked)
    maven --file "$deploy/engines/$engine/pom.xml" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$folder"
    wanted=$(locked "$engine")
    ;;
  fat)
    coordinates=$(awk -v user="$engine-fat" '$3 == user { print $1 }' "$lock")
    maven org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      -Dartifact="$coordinates" -DoutputDirectory="$folder" || {
      echo "install_jars.sh: cannot fetch $coordinates; 'locked' installs the set of jars.lock" >&2
      exit 1
    }
    wanted=$(locked "$engine-fat")
    ;;
  *)
    echo "install_jars.sh: no kind $kind; locked or fat" >&2
    exit 2
    ;;
esac

cd "$folder"
surplus=$(comm -13 <(awk '{ print $2 }' <<<"$wanted" | sort) <(find . -name '*.jar' -printf '%P\n' | sort))
if [ -n "$surplus" ]; then
  echo "install_jars.sh: jars that jars.lock does not have for $engine: $surplus" >&2
  exit 1
fi
if [ "${wanted%% *}" = unknown ]; then
  echo "install_jars.sh: jars.lock has no SHA-256 of this jar yet; put this one there:" >&2
  sha256sum -- *.jar >&2
else
  sha256sum --check --quiet --strict - <<<"$wanted"
fi
echo "$(wc -l <<<"$wanted") jars of $engine ($kind) in $folder"

#!/usr/bin/env bash
# Hand a job to a Spark cluster that is there, as one jar for spark-submit.
#
#   submit.sh JOB [OPTIONS OF spark-submit]      such as submit.sh job.yaml --master yarn
#
# Needed: the commands labelmill, java and spark-submit; Beam's fat job server in the folder
# JOB_SERVER_JARS (deploy/docker/install_jars.sh spark fat FOLDER); and a pool of workers at
# localhost:50000 on every machine of the cluster (deploy/docker/worker.sh pool). spark-submit tells
# when the job has ended; how, is in its output: labelmill status.
set -euo pipefail

if [ $# -lt 1 ] || [ "${1:0:1}" = - ]; then
  echo "usage: submit.sh JOB [OPTIONS OF spark-submit]" >&2
  exit 2
fi
job=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${JOB_PORT:-8099}
seconds=120
folder=$(mktemp -d)

"$here/../docker/job_server.sh" spark "--spark-master-url=local[1]" --job-host=localhost \
  --job-port="$port" --artifact-port=$((port - 1)) --expansion-port=$((port - 2)) \
  --artifacts-dir="$folder/artifacts" 2>"$folder/job-server.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

until (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; do
  if ! kill -0 "$server" 2>/dev/null || [ "$((seconds--))" -le 0 ]; then
    tail -n 20 "$folder/job-server.log" >&2
    echo "submit.sh: the job server does not answer at port $port" >&2
    exit 1
  fi
  sleep 1
done

# The job server writes the jar instead of running the job: the pipeline and what runs it.
labelmill run "$job" --runner=spark --no-wait --job_endpoint="localhost:$port" \
  --environment_type=EXTERNAL --environment_config=localhost:50000 \
  --output_executable_path="$folder/labelmill.jar"
seconds=60 # it is written after the launcher has left
until python3 -m zipfile --test "$folder/labelmill.jar" >/dev/null 2>&1; do
  if [ "$((seconds--))" -le 0 ]; then
    if [ -e "$folder/labelmill.jar" ]; then
      echo "submit.sh: the job server has not finished the jar" >&2
      exit 1
    fi
    exit 0 # nothing to do: labelmill has said so
  fi
  sleep 1
done
kill "$server"
spark-submit "$@" --class org.apache.beam.runners.spark.SparkPipelineRunner "$folder/labelmill.jar"

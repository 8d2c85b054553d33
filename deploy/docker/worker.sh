#!/usr/bin/env bash
# What a worker's container runs.
#
#   worker.sh pool [PORT]     a pool of SDK workers for --environment_type=EXTERNAL (Flink, Spark)
#   worker.sh --id=... ...    one SDK worker, started by Beam's boot (Dataflow, DOCKER, PROCESS)
set -euo pipefail

if [ "${1:-}" = pool ]; then
  # Not boot's --worker_pool: its workers fetch artifacts that the job server keeps on its own disk,
  # which a TaskManager on another machine does not have. labelmill needs none of them.
  exec python -m apache_beam.runners.worker.worker_pool_main --service_port="${2:-50000}"
fi
exec "${BEAM_BOOT:-/opt/apache/beam/boot}" "$@"

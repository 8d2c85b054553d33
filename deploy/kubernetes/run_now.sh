#!/usr/bin/env bash
# Start a refresh now, show its log, and exit as labelmill does.
#
#   run_now.sh [NAMESPACE]
set -euo pipefail

namespace=${1:-labelmill}
job=labelmill-now-$(date -u +%Y%m%d-%H%M%S)
kubectl -n "$namespace" create job --from=cronjob/labelmill-refresh "$job" >&2

# Print the exit code of the newest attempt; nothing while it runs.
exit_code() {
  kubectl -n "$namespace" get pods --selector "job-name=$job" \
    --sort-by=.metadata.creationTimestamp --output \
    'jsonpath={.items[-1:].status.containerStatuses[?(@.name=="labelmill")].state.terminated.exitCode}'
}

# Print whether the job is over: Complete, Failed, or nothing.
condition() {
  kubectl -n "$namespace" get job "$job" --output \
    'jsonpath={.status.conditions[?(@.status=="True")].type}'
}

kubectl -n "$namespace" logs --follow --pod-running-timeout=15m --container labelmill \
  "job/$job" || true
until [[ $(condition) =~ (Complete|Failed)$ ]]; do
  sleep 5
done
code=$(exit_code)
echo "job $job: exit code ${code:-unknown}" >&2
exit "${code:-1}"

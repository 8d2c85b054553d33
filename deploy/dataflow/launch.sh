#!/usr/bin/env bash
# Launch the Flex Template on a job file.
#
#   launch.sh gs://BUCKET/PATH/labelmill.json gs://BUCKET/jobs/spam/job.yaml [NAME=VALUE...]
#
# NAME=VALUE: other parameters of metadata.json, such as full=true or 'set=gold.fit=0.1'.
# PROJECT, REGION, TEMP (gs://... for temporary files) and SERVICE_ACCOUNT come from the environment;
# MAX_WORKERS and MACHINE_TYPE may. It ends when Dataflow has the launch; how the run itself ends is
# in the output: labelmill status gs://BUCKET/labels/spam
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: launch.sh SPEC JOB [NAME=VALUE...]" >&2
  exit 2
fi
for name in PROJECT REGION TEMP SERVICE_ACCOUNT; do
  if [ -z "${!name:-}" ]; then
    echo "launch.sh: set $name" >&2
    exit 2
  fi
done
spec=$1 job=$2
shift 2

parameters="job=$job"
for parameter in "$@"; do
  parameters+="~$parameter"
done
gcloud dataflow flex-template run "labelmill-$(date -u +%Y%m%d-%H%M%S)" \
  --project="$PROJECT" --region="$REGION" --template-file-gcs-location="$spec" \
  --temp-location="$TEMP" --staging-location="${STAGING:-$TEMP}" \
  --service-account-email="$SERVICE_ACCOUNT" --max-workers="${MAX_WORKERS:-50}" \
  --worker-machine-type="${MACHINE_TYPE:-n2-standard-2}" --parameters="^~^$parameters"

#!/usr/bin/env bash
# Run Beam's job server of an engine; what follows the engine goes to it.
#
#   job_server.sh flink --flink-master=HOST:8081 [...]
#   job_server.sh spark --spark-master-url=spark://HOST:7077 [...]
#
# JOB_SERVER_JARS: folder of the jars. JAVA_OPTIONS: more options of the JVM, such as
# -Dspark.executor.memory=2g.
set -euo pipefail

engine=${1:-}
jars=${JOB_SERVER_JARS:-/opt/job-server}
case $engine in
  flink)
    driver=org.apache.beam.runners.flink.FlinkJobServerDriver
    opens=()
    ;;
  spark)
    driver=org.apache.beam.runners.spark.SparkJobServerDriver
    opens=()
    for package in lang nio util lang.invoke util.concurrent net; do
      opens+=(--add-opens "java.base/java.$package=ALL-UNNAMED")
    done
    opens+=(--add-opens java.base/sun.nio.ch=ALL-UNNAMED)
    ;;
  *)
    echo "usage: job_server.sh flink|spark [OPTIONS OF THE JOB SERVER]" >&2
    exit 2
    ;;
esac
shift
read -r -a options <<<"${JAVA_OPTIONS:--XX:MaxRAMPercentage=70}"
exec java "${opens[@]}" "${options[@]}" -cp "$jars/*" "$driver" "$@"

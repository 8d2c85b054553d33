output "output_uri" {
  description = "Where a job of this bucket may publish."
  value       = "gs://${google_storage_bucket.labels.name}/labels"
}

output "worker_service_account" {
  description = "SERVICE_ACCOUNT of deploy/dataflow/launch.sh, and what deploy/kubernetes/gcs names."
  value       = google_service_account.worker.email
}

resource "google_cloud_scheduler_job" "refresh" {
  project          = var.project
  region           = var.region
  name             = "labelmill-refresh"
  description      = "Launches the Flex Template of labelmill"
  schedule         = var.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "320s"

  # A launch that was not taken. A run that fails is not started again from here: the next night
  # takes what it stored.
  retry_config {
    retry_count          = 2
    min_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://dataflow.googleapis.com/v1b3/projects/${var.project}/locations/${var.region}/flexTemplates:launch"
    headers     = { "Content-Type" = "application/json" }
    body = base64encode(jsonencode({
      launchParameter = {
        # The same name every night: Dataflow refuses a second job of a name that still runs.
        jobName              = "labelmill-refresh"
        containerSpecGcsPath = var.spec
        parameters           = { job = var.job }
        environment = {
          maxWorkers          = var.max_workers
          serviceAccountEmail = google_service_account.worker.email
          tempLocation        = "gs://${google_storage_bucket.labels.name}/tmp"
          stagingLocation     = "gs://${google_storage_bucket.labels.name}/tmp/staging"
        }
      }
    }))

    oauth_token {
      service_account_email = google_service_account.scheduler.email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}

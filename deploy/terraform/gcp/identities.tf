# Two identities: workers touch data and start nothing, the scheduler starts and touches no data.
resource "google_service_account" "worker" {
  project      = var.project
  account_id   = "labelmill"
  display_name = "labelmill launchers and workers"
}

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "labelmill-scheduler"
  display_name = "Starts labelmill's refresh"
}

# Read, write, list and delete objects of the one bucket; not the bucket's settings.
resource "google_storage_bucket_iam_member" "worker_output" {
  bucket = google_storage_bucket.labels.name
  role   = "roles/storage.objectUser"
  member = google_service_account.worker.member
}

resource "google_storage_bucket_iam_member" "worker_corpus" {
  count  = var.corpus_bucket == "" ? 0 : 1
  bucket = var.corpus_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

resource "google_project_iam_member" "worker_dataflow" {
  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.worker.member
}

# The launcher of the template runs as the worker's account, and creates the job.
resource "google_project_iam_member" "worker_launches" {
  project = var.project
  role    = google_project_iam_custom_role.launcher.name
  member  = google_service_account.worker.member
}

resource "google_project_iam_member" "scheduler_launches" {
  project = var.project
  role    = google_project_iam_custom_role.launcher.name
  member  = google_service_account.scheduler.member
}

resource "google_project_iam_custom_role" "launcher" {
  project     = var.project
  role_id     = "labelmillLauncher"
  title       = "Launch labelmill on Dataflow"
  permissions = ["dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"]
}

# Starting a job as an account needs leave to act as it: this one, no other.
resource "google_service_account_iam_member" "scheduler_acts_as_worker" {
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.scheduler.member
}

resource "google_service_account_iam_member" "worker_acts_as_itself" {
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.worker.member
}

# The spec, and nothing else of the bucket.
resource "google_storage_bucket_iam_member" "scheduler_reads_spec" {
  bucket = google_storage_bucket.labels.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.scheduler.member

  condition {
    title      = "spec only"
    expression = "resource.name == \"projects/_/buckets/${google_storage_bucket.labels.name}/objects/${trimprefix(var.spec, "gs://${google_storage_bucket.labels.name}/")}\""
  }
}

resource "google_service_account_iam_member" "gke" {
  count              = var.kubernetes_namespace == "" ? 0 : 1
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.kubernetes_namespace}/labelmill]"
}

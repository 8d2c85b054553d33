variable "project" {
  description = "Project that everything is in."
  type        = string
}

variable "region" {
  description = "Region of the bucket, the jobs and the scheduler."
  type        = string
}

variable "bucket" {
  description = "Bucket of the output, of jobs and of temporary files; created."
  type        = string
}

variable "corpus_bucket" {
  description = "Existing bucket of the corpus; only read. Empty: the corpus is in the bucket above."
  type        = string
  default     = ""
}

variable "spec" {
  description = "gs:// URL of the container spec that deploy/dataflow/build.sh writes."
  type        = string
}

variable "job" {
  description = "gs:// URL of the job file."
  type        = string
}

variable "schedule" {
  description = "When to refresh, as in crontab, in UTC."
  type        = string
  default     = "15 2 * * *"
}

variable "max_workers" {
  description = "Most workers of a refresh."
  type        = number
  default     = 50
}

variable "kubernetes_namespace" {
  description = "Namespace of the service account labelmill of deploy/kubernetes on GKE; empty without."
  type        = string
  default     = ""
}

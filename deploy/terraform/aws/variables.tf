variable "bucket" {
  description = "Bucket of the output and of jobs; created."
  type        = string
}

variable "corpus_bucket" {
  description = "Existing bucket of the corpus; only read. Empty: the corpus is in the bucket above."
  type        = string
  default     = ""
}

variable "oidc_provider_arn" {
  description = "OpenID Connect provider of the EKS cluster or of GitHub Actions."
  type        = string
}

variable "oidc_subject" {
  description = "Who may take the role: system:serviceaccount:labelmill:labelmill on EKS, repo:OWNER/NAME:ref:refs/heads/main on GitHub."
  type        = string

  validation {
    condition     = !strcontains(var.oidc_subject, "*")
    error_message = "A wildcard lets others take the role: name one subject."
  }
}

variable "oidc_audience" {
  description = "Audience of the tokens: sts.amazonaws.com on EKS and GitHub."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "image" {
  description = "Image labelmill-submit, for the scheduled task on Fargate; empty without."
  type        = string
  default     = ""
}

variable "job" {
  description = "s3:// URL of the job file of the scheduled task."
  type        = string
  default     = ""
}

variable "cluster_arn" {
  description = "ECS cluster of the scheduled task."
  type        = string
  default     = ""
}

variable "subnets" {
  description = "Subnets of the scheduled task."
  type        = list(string)
  default     = []
}

variable "security_groups" {
  description = "Security groups of the scheduled task; it needs no way in."
  type        = list(string)
  default     = []
}

variable "schedule" {
  description = "When to refresh, as EventBridge Scheduler writes it, in UTC."
  type        = string
  default     = "cron(15 2 * * ? *)"
}

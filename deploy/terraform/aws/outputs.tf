output "output_uri" {
  description = "Where a job of this bucket may publish."
  value       = "s3://${aws_s3_bucket.labels.bucket}/labels"
}

output "role_arn" {
  description = "What deploy/kubernetes/s3 and deploy/github name."
  value       = aws_iam_role.labelmill.arn
}

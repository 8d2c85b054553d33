# What labelmill does, and nothing else: read, write, list and delete objects of the one bucket, read
# and list the corpus.
data "aws_iam_policy_document" "data" {
  statement {
    sid       = "ListOutput"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.labels.arn]
  }

  statement {
    sid = "ReadAndWriteOutput"
    actions = [
      "s3:GetObject",
      "s3:PutObject",
      "s3:DeleteObject",
      "s3:AbortMultipartUpload",
    ]
    resources = ["${aws_s3_bucket.labels.arn}/*"]
  }

  dynamic "statement" {
    for_each = var.corpus_bucket == "" ? [] : [var.corpus_bucket]

    content {
      sid       = "ReadCorpus"
      actions   = ["s3:ListBucket", "s3:GetObject"]
      resources = ["arn:aws:s3:::${statement.value}", "arn:aws:s3:::${statement.value}/*"]
    }
  }
}

resource "aws_iam_policy" "data" {
  name        = "labelmill-data"
  description = "What labelmill's launchers and workers may do"
  policy      = data.aws_iam_policy_document.data.json
}

locals {
  # arn:aws:iam::ACCOUNT:oidc-provider/ISSUER
  issuer = element(split("oidc-provider/", var.oidc_provider_arn), 1)
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [var.oidc_subject]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = [var.oidc_audience]
    }
  }
}

resource "aws_iam_role" "labelmill" {
  name                 = "labelmill"
  description          = "Launchers and workers of labelmill, by OpenID Connect"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  max_session_duration = 21600
}

resource "aws_iam_role_policy_attachment" "labelmill" {
  role       = aws_iam_role.labelmill.name
  policy_arn = aws_iam_policy.data.arn
}

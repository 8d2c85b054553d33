# Without a cluster: one task on Fargate every night, the local runner on its cores. Only with an image.
locals {
  scheduled = var.image == "" ? 0 : 1
}

data "aws_iam_policy_document" "ecs_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "task" {
  count              = local.scheduled
  name               = "labelmill-task"
  assume_role_policy = data.aws_iam_policy_document.ecs_assume.json
}

resource "aws_iam_role_policy_attachment" "task" {
  count      = local.scheduled
  role       = aws_iam_role.task[0].name
  policy_arn = aws_iam_policy.data.arn
}

# Pulls the image and writes the log.
resource "aws_iam_role" "execution" {
  count              = local.scheduled
  name               = "labelmill-execution"
  assume_role_policy = data.aws_iam_policy_document.ecs_assume.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  count      = local.scheduled
  role       = aws_iam_role.execution[0].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_cloudwatch_log_group" "labelmill" {
  count             = local.scheduled
  name              = "/labelmill/refresh"
  retention_in_days = 30
}

data "aws_region" "current" {}

resource "aws_ecs_task_definition" "labelmill" {
  count                    = local.scheduled
  family                   = "labelmill-refresh"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 4096
  memory                   = 16384
  task_role_arn            = aws_iam_role.task[0].arn
  execution_role_arn       = aws_iam_role.execution[0].arn

  container_definitions = jsonencode([{
    name      = "labelmill"
    image     = var.image
    command   = [var.job]
    essential = true
    user      = "10001:10001"
    environment = [
      { name = "AWS_REGION", value = data.aws_region.current.name },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.labelmill[0].name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = "refresh"
      }
    }
  }])
}

data "aws_iam_policy_document" "scheduler_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
  }
}

# Starts this task, and gives it its two roles: no other task, no other role.
data "aws_iam_policy_document" "scheduler" {
  count = local.scheduled

  statement {
    sid       = "RunTheTask"
    actions   = ["ecs:RunTask"]
    resources = [aws_ecs_task_definition.labelmill[0].arn]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster_arn]
    }
  }

  statement {
    sid       = "GiveItItsRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.task[0].arn, aws_iam_role.execution[0].arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  count              = local.scheduled
  name               = "labelmill-scheduler"
  assume_role_policy = data.aws_iam_policy_document.scheduler_assume.json
}

resource "aws_iam_role_policy" "scheduler" {
  count  = local.scheduled
  name   = "run-labelmill"
  role   = aws_iam_role.scheduler[0].id
  policy = data.aws_iam_policy_document.scheduler[0].json
}

resource "aws_scheduler_schedule" "refresh" {
  count                        = local.scheduled
  name                         = "labelmill-refresh"
  schedule_expression          = var.schedule
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.scheduler[0].arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.labelmill[0].arn
      launch_type         = "FARGATE"
      task_count          = 1

      network_configuration {
        subnets          = var.subnets
        security_groups  = var.security_groups
        assign_public_ip = false
      }
    }

    # Of a start that was not taken. A run that failed is not started again from here: the next night
    # takes what it stored.
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 3600
    }
  }
}

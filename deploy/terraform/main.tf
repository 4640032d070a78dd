# SPDX-License-Identifier: Apache-2.0
#
# Runs regrow bootstrap, and after it regrow snapshot create. Everything reaches them as environment, so
# that nothing is among the arguments of a process. What is secret is inherited from Terraform's own
# environment, or lies in files of which only the path is known here.

locals {
  cluster = {
    for name, value in {
      REGROW_KUBECONFIG       = abspath(var.kubeconfig)
      REGROW_CONTEXT          = var.context
      REGROW_EXPECT_CLUSTER   = var.expect_cluster
      REGROW_WAIT_FOR_CLUSTER = var.wait_cluster
      REGROW_CREDENTIALS      = var.credentials_file
      REGROW_REVISION         = var.revision
      REGROW_ROOT             = var.root
    } : name => value if value != null
  }

  bootstrap = merge(
    { for name, value in var.options : "REGROW_${upper(replace(name, "-", "_"))}" => value },
    local.cluster,
    { REGROW_TIMEOUT = var.timeout, REGROW_NO_PROGRESS = "true", REGROW_NO_COLOR = "true", TF_REGROW = var.regrow },
  )

  snapshot = var.snapshots == null ? {} : merge(local.cluster, {
    for name, value in {
      REGROW_REPO        = var.snapshots.repo
      REGROW_KEY         = abspath(var.snapshots.key_file)
      REGROW_TRUST       = var.snapshots.trust
      REGROW_USE_CLUSTER = "true"
      REGROW_IF_CHANGED  = "true"
      REGROW_NO_COLOR    = "true"
      TF_REGROW          = var.regrow
    } : name => value if value != null
  })
}

# A run that fails leaves it tainted: the next apply runs it again, and it continues. There is nothing that
# runs when it is destroyed: see README.md.
resource "terraform_data" "bootstrap" {
  triggers_replace = {
    root     = var.root
    revision = var.revision
    cluster  = var.cluster
    expect   = var.expect_cluster
    trigger  = var.trigger
  }

  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-c"]
    command     = "exec \"$TF_REGROW\" bootstrap"
    environment = local.bootstrap
  }
}

resource "terraform_data" "snapshot" {
  count = var.snapshots == null ? 0 : 1

  triggers_replace = {
    bootstrap = terraform_data.bootstrap.id
    repo      = var.snapshots.repo
  }

  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-c"]
    command     = "exec \"$TF_REGROW\" snapshot create"
    environment = local.snapshot
  }
}

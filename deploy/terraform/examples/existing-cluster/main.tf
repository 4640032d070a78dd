# SPDX-License-Identifier: Apache-2.0
#
# A cluster that is there already, grown from one repository and saved.
#
#   export REGROW_GIT_TOKEN=...         # where the repository is private
#   terraform init && terraform apply -var kubeconfig=$HOME/.kube/config -var revision=$(git rev-parse HEAD)

variable "kubeconfig" {
  type = string
}

variable "revision" {
  type    = string
  default = null
}

module "platform" {
  source = "../.." # git::https://.../regrow.git//deploy/terraform?ref=... from elsewhere

  root       = "https://git.example.com/platform.git//apps?ref=main"
  revision   = var.revision
  kubeconfig = var.kubeconfig

  snapshots = {
    repo     = "s3://backup/prod"
    key_file = "/etc/regrow/job.key"
  }
}

output "ready" {
  value = module.platform.ready
}

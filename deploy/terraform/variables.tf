# SPDX-License-Identifier: Apache-2.0

variable "root" {
  description = "What the cluster is grown from: URL[//path][?ref=REV], or a folder."
  type        = string

  validation {
    condition     = can(regex("^[^\\s]+$", var.root))
    error_message = "root is one word: URL[//path][?ref=REV], or a folder."
  }
  # It would lie in the state.
  validation {
    condition     = !can(regex("://[^/@]*:[^/@]*@", var.root))
    error_message = "root holds a password, which would lie in the state. Set REGROW_GIT_TOKEN in Terraform's environment, or credentials_file."
  }
}

variable "revision" {
  description = "Commit (or tag) of the root's repository; another one runs the bootstrap again. A branch would never change, so it is refused: null follows the ref of root, and runs again with trigger."
  type        = string
  default     = null

  validation {
    condition     = var.revision == null || can(regex("^([0-9a-f]{40}|[0-9a-f]{64}|v?[0-9]+\\.[0-9]+[0-9A-Za-z.+-]*|refs/tags/[^\\s]+)$", var.revision))
    error_message = "revision is a whole commit id, a version tag, or refs/tags/NAME."
  }
}

variable "kubeconfig" {
  description = "Path of the cluster's kubeconfig. Only the path is known to Terraform."
  type        = string

  validation {
    condition     = can(regex("^[^\\n]+$", var.kubeconfig)) && !can(regex("apiVersion", var.kubeconfig))
    error_message = "kubeconfig is the path of a file, not what is in it."
  }
}

variable "context" {
  description = "Context of the kubeconfig; null: its current one."
  type        = string
  default     = null
}

variable "cluster" {
  description = "Anything that is another string for another cluster, such as its id or ARN: a cluster made anew is then grown anew."
  type        = string
  default     = ""
}

variable "expect_cluster" {
  description = "uid of kube-system: any other cluster is refused. null: not checked."
  type        = string
  default     = null

  validation {
    condition     = var.expect_cluster == null || can(regex("^[0-9a-f-]{36}$", var.expect_cluster))
    error_message = "expect_cluster is a uid: kubectl get namespace kube-system -o jsonpath={.metadata.uid}"
  }
}

variable "regrow" {
  description = "Path of the program, or its name on the PATH."
  type        = string
  default     = "regrow"

  validation {
    condition     = can(regex("^[^\\n]+$", var.regrow))
    error_message = "regrow is a path or a name."
  }
}

variable "timeout" {
  description = "How long the bootstrap may take, such as 30m."
  type        = string
  default     = "30m"

  validation {
    condition     = can(regex("^([0-9]+(ms|s|m|h))+$", var.timeout))
    error_message = "timeout is a time such as 90s, 30m or 1h30m."
  }
}

variable "wait_cluster" {
  description = "How long to wait for an API server that does not answer yet."
  type        = string
  default     = "10m"

  validation {
    condition     = can(regex("^([0-9]+(ms|s|m|h))+$", var.wait_cluster))
    error_message = "wait_cluster is a time such as 90s or 10m."
  }
}

variable "credentials_file" {
  description = "Path of a file for --credentials: a YAML list of URLs and what opens them. null: the environment alone."
  type        = string
  default     = null
}

variable "options" {
  description = "Further options of regrow bootstrap by their long names, such as { mirror = \"https://charts.example.com=/srv/charts\" }. Lists are separated by commas, flags are \"true\"."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.options) : can(regex("^[a-z][a-z0-9-]*$", name))])
    error_message = "options are named as on the command line, without the dashes."
  }
  validation {
    condition     = alltrue([for name in keys(var.options) : !can(regex("pass|token|secret", name)) || endswith(name, "-file")])
    error_message = "A secret is no option: set it in Terraform's environment, as REGROW_..."
  }
}

variable "trigger" {
  description = "Any string; another one runs the bootstrap again, for instance plantimestamp() to run it in every apply."
  type        = string
  default     = ""
}

variable "snapshots" {
  description = "A snapshot after each bootstrap: repo (URL), key_file (path of the job's credential) and trust (the pin, no secret; null: the one in the key). null: none."
  type = object({
    repo     = string
    key_file = string
    trust    = optional(string)
  })
  default = null

  validation {
    condition     = var.snapshots == null || !can(regex("://[^/@]*:[^/@]*@", var.snapshots.repo))
    error_message = "snapshots.repo holds a password. What the store wants comes from its own tools and the environment."
  }
  validation {
    condition     = var.snapshots == null || !can(regex("regrow credential", var.snapshots.key_file))
    error_message = "snapshots.key_file is the path of the credential, not what is in it."
  }
  validation {
    condition     = var.snapshots == null || try(var.snapshots.trust, null) == null || can(regex("^[0-9a-f]{64}$", var.snapshots.trust))
    error_message = "snapshots.trust is the pin: 64 hexadecimal digits."
  }
}

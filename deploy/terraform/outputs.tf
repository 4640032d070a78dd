# SPDX-License-Identifier: Apache-2.0

output "root" {
  description = "What the cluster was grown from."
  value       = var.root
}

output "revision" {
  description = "Which commit or tag of it; null: what its ref was at that time."
  value       = var.revision
}

output "ready" {
  description = "Another id after each bootstrap that ended with everything healthy: what needs the platform depends on it."
  value       = terraform_data.bootstrap.id
}

output "snapshot" {
  description = "Another id after each snapshot; null: none is taken."
  value       = one(terraform_data.snapshot[*].id)
}

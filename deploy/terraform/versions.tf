# SPDX-License-Identifier: Apache-2.0

# terraform_data is built in: no provider is downloaded.
terraform {
  required_version = ">= 1.4"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A real S3 server (versitygw over a folder) on a free port. After env.sh.
#
#   s3_start [--tls]   sets S3_ENDPOINT, and the AWS_* variables of its user
#   s3_bucket NAME     makes a bucket
#   s3_stop

s3_start() {
  local port tls=()
  port=$(free_port)
  S3_ENDPOINT=http://127.0.0.1:$port
  export AWS_ACCESS_KEY_ID=test-access AWS_SECRET_ACCESS_KEY=test-secret-of-this-run
  export AWS_REGION=us-east-1
  mkdir -p "$SCRATCH/s3/data"
  if [[ ${1:-} == --tls ]]; then
    tls_make
    tls=(--cert "$SCRATCH/tls/server.crt" --key "$SCRATCH/tls/server.key")
    S3_ENDPOINT=https://localhost:$port
  fi
  ROOT_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID ROOT_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY \
    spawn s3 versitygw --port "127.0.0.1:$port" "${tls[@]}" --region us-east-1 posix "$SCRATCH/s3/data"
  wait_for 10 "the S3 server on port $port" port_open "$port"
  export AWS_ENDPOINT_URL_S3=$S3_ENDPOINT
}

s3_bucket() { mkdir -p "$SCRATCH/s3/data/$1"; }
s3_stop() { stop s3; }

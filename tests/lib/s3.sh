# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A real S3 server (versitygw over a folder) on a free port. After env.sh.
#
#   s3_start [--tls|--versions]   sets S3_ENDPOINT, and the AWS_* variables of its user; it also
#                      answers to BUCKET.localhost
#   s3_bucket NAME     makes a bucket
#   s3_locked_bucket NAME   one with object lock (after s3_start --versions)
#   s3_lock BUCKET/NAME     until when that file is locked
#   s3_stop

s3_start() {
  local port tls=() versions=()
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
  if [[ ${1:-} == --versions ]]; then
    mkdir -p "$SCRATCH/s3/versions"
    versions=(--versioning-dir "$SCRATCH/s3/versions")
  fi
  ROOT_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID ROOT_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY \
    spawn s3 versitygw --port "127.0.0.1:$port" "${tls[@]}" --region us-east-1 --virtual-domain "localhost:$port" \
    posix "${versions[@]}" "$SCRATCH/s3/data"
  wait_for 10 "the S3 server on port $port" port_open "$port"
  export AWS_ENDPOINT_URL_S3=$S3_ENDPOINT
}

s3_bucket() { mkdir -p "$SCRATCH/s3/data/$1"; }
s3_ask() { # CURL-ARGUMENTS PATH
  curl -sf --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    -H "x-amz-content-sha256: $(sha256sum </dev/null | cut -d' ' -f1)" "${@:1:$#-1}" "$S3_ENDPOINT/${*: -1}"
}
s3_locked_bucket() { s3_ask -X PUT -H 'x-amz-bucket-object-lock-enabled: true' "$1"; }
s3_lock() { s3_ask "$1?retention=" | sed -n 's/.*<RetainUntilDate>\(.*\)<.RetainUntilDate>.*/\1/p'; }
s3_stop() { stop s3; }

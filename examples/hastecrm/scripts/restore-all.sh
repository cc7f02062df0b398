#!/bin/sh
# Brings database and cache back in one action. With `--repository offsite` from S3.
set -eu
cd "$(dirname "$0")/.."
exec lifeboat restore-all --yes "$@"

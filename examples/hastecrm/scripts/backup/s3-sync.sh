#!/bin/sh
# Brings to S3 what is on this machine and not there yet.
set -eu
cd "$(dirname "$0")/../.."
exec lifeboat copy --from local --to offsite

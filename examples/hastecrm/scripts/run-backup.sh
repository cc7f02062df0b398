#!/bin/sh
# Backs up database and cache to this machine, copies that to S3, and verifies both copies byte by byte.
# Ends with another code than 0 if any of it failed, so that cron or a timer reports it.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
cd "$scripts/.."
"$scripts/backup/postgres-backup.sh" "$@"
"$scripts/backup/redis-backup.sh" "$@"
"$scripts/backup/s3-sync.sh"
lifeboat verify --read-data

#!/bin/sh
# Brings the database back: from the latest backup, or from the one named (an id, latest-proven, before:2024-01-15).
# Stop the application first. The present database is kept beside under another name.
set -eu
cd "$(dirname "$0")/.."
exec lifeboat restore database --from "${1:-latest}" --yes

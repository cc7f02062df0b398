#!/bin/sh
# Backs up the database to this machine.
set -eu
cd "$(dirname "$0")/../.."
exec lifeboat backup database --repository local "$@"

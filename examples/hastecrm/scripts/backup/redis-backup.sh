#!/bin/sh
# Backs up the cache to this machine.
set -eu
cd "$(dirname "$0")/../.."
exec lifeboat backup cache --repository local "$@"

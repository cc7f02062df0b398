#!/bin/sh
# Has the schedules of lifeboat.yaml kept from now on, and after each start of the machine. `--user` does it for your own account.
set -eu
cd "$(dirname "$0")/../.."
exec lifeboat service install "$@"

// The script through which a server in recovery asks for the next file of its journal. It lies in the folder that prefetch.ts
// fills, knows neither repository nor secret, and answers "not there" only if the prefetcher says so: a server takes that for the
// end of the journal and goes on from there, so every doubt must end in an error instead.

export const shimFile = 'fetch.sh';

/**
 * Called as `fetch.sh <name> <target>`. Exit status: 0 it is at the target, 1 there is certainly none, 200 anything else. One that
 * is `isUnhurried` looks less often after a second: for whoever waits most of the time.
 */
export function prefetchShim({ silenceMaxSeconds = 30, waitMaxSeconds = 3600, isUnhurried = false } = {}): string {
  return `#!/bin/sh
# Hands over a file that lifeboat has fetched. Ends with 0 if it is there, with 1 if there certainly is none, else with 200.
answer=none
# Whatever ends this script without an answer (a shell that gives up ends with 1 or 2) must not look like one.
trap 'status=$?; [ "$status" = "$answer" ] || status=200; trap - EXIT; exit "$status"' EXIT
name=$1
target=$2
folder=\${0%/*}

fail() {
  echo "lifeboat: $1" >&2
  answer=200
  exit 200
}

finish() {
  answer=$1
  exit "$1"
}

case $name in
  '' | */* | .* | -*) fail "'$name' is no name of a file of the journal" ;;
esac
[ -n "$target" ] || fail 'no target was given'
beat=none
silent=0
waited=0
pause=0.02
hundredths=2
while true; do
  if [ -e "$folder/$name.ready" ]; then
    # The mark goes first: without its file it would be a lie.
    rm -f "$folder/$name.ready" "$folder/$name.wanted"
    mv -f "$folder/$name" "$target" || fail "could not move $name to $target"
    finish 0
  fi
  if [ -e "$folder/$name.absent" ]; then
    rm -f "$folder/$name.absent" "$folder/$name.wanted"
    finish 1
  fi
  [ -e "$folder/$name.wanted" ] || touch "$folder/$name.wanted" || fail "could not ask for $name"
  now=$(cat "$folder/heartbeat" 2>/dev/null)
  if [ "$now" = "$beat" ] || [ -z "$now" ]; then
    silent=$((silent + hundredths))
  else
    beat=$now
    silent=0
  fi
  [ "$silent" -lt ${silenceMaxSeconds * 100} ] || fail "nobody fetches $name: the restore was stopped"
  waited=$((waited + hundredths))
  [ "$waited" -lt ${waitMaxSeconds * 100} ] || fail "$name did not come in time"
  [ "$waited" -lt 20 ] || { pause=0.1; hundredths=10; }
${isUnhurried ? '  [ "$waited" -lt 100 ] || { pause=0.5; hundredths=50; }\n' : ''}  sleep "$pause" || sleep 1 || fail 'could not wait'
done
`;
}

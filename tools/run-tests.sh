#!/usr/bin/env bash
# All tests, in two lanes at once: what needs windows, and everything else. With arguments, one
# pytest with these.
set -uo pipefail
python=$1
shift
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One thread: two lanes with two threads each would wait for each other. And the windows come first,
# since some of their tests look at how long they keep a user waiting.
OMP_NUM_THREADS=1 nice -n 15 "$python" -m pytest --ignore=tests/bridge --ignore=tests/widgets >"$log" 2>&1 &
headless=$!
status=0
"$python" -m pytest tests/bridge tests/widgets || status=$?
wait "$headless" || status=$?
cat "$log"
exit "$status"

#!/usr/bin/env bash
# The first look: installs what is needed, builds, runs the hello example with two workers, shows it, and stops it.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/quickstart
deadline_s=20
scratch="$(mktemp -d)"
pid=

cleanup() {
  if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
    kill -TERM "$pid"
    wait "$pid" || true
  fi
  rm -rf "$scratch"
}
trap cleanup EXIT

say() { printf '\n== %s\n' "$*"; }
show() {
  printf '$ %s\n' "$*"
  "$@"
}

say "1/4 Install the packages that a build needs"
tests/support/install-packages.sh build

say "2/4 Build into $build"
log="$scratch/build.log"
if ! { cmake --preset release -B "$build" -DSUPERVISOR_TESTS=OFF && cmake --build "$build"; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "quickstart: the build failed; its last lines are above" >&2
  exit 1
fi
ls "$build/supervisor" "$build/hello.so"

say "3/4 Serve examples/hello with two workers on a free port"
control="$scratch/control.sock"
arguments=(--workers 2 --bind 127.0.0.1:0 --control "$control" "$build/hello.so")
printf '$ %s &\n' "$build/supervisor ${arguments[*]}"
"$build/supervisor" "${arguments[@]}" 2>"$scratch/log" &
pid=$!

# Ready = the control socket answers and both workers say so; the port was chosen by the kernel, so it is asked for.
give_up() {
  cat "$scratch/log" >&2
  echo "quickstart: $1; what the program logged is above" >&2
  exit 1
}
address=
until [ -n "$address" ]; do
  kill -0 "$pid" 2>/dev/null || give_up "the supervisor ended before it was ready"
  [ "$SECONDS" -lt $((deadline_s + ${started:=$SECONDS})) ] || give_up "not ready within $deadline_s seconds"
  status="$("$build/supervisor" status --json --control "$control" 2>/dev/null || true)"
  if [ "$(grep -oE '"state": ?"ready"' <<<"$status" | wc -l)" -eq 2 ]; then
    address="$(sed -nE 's/.*"address": ?"([^"]+)".*/\1/p' <<<"$status" | head -n 1)"
  else
    sleep 0.1
  fi
done
cat "$scratch/log"

say "4/4 One request, then what the supervisor says about itself"
show curl --silent --show-error --include --max-time 10 "http://$address/"
echo
show "$build/supervisor" status --control "$control"

say "Stop"
printf '$ kill -TERM %s\n' "$pid"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
echo "The supervisor ended with exit code $code."
exit "$code"

#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test. As root or with sudo; repeatable; touches build/ only.
set -uo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: tests/run.sh [--quick] [--label LABEL] [--preset PRESET]

Without options, in this order:
  tidy     house rules, clang-format, clang-tidy                        (preset dev, configured only)
  release  unit, integration, fuzz seeds, install + outside project     (preset release)
  systemd  the installed build on a booted systemd, in a container      (preset release; as root; else "NOT RUN")
  asan     unit, integration, fuzz seeds under ASan and UBSan           (preset asan)
  fuzz     each fuzz target for a short time                            (preset fuzz)

  --quick          tidy without clang-tidy, and release; no sanitizer, no fuzzing
  --label LABEL    only the tests with this label: unit, integration, incidents, lifecycle, systemd, fuzz, tidy
  --preset PRESET  build this preset alone and run all of its tests: dev, asan, tsan, release, fuzz, coverage
TEXT
}

quick=no
label=
preset=
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=yes ;;
    --label) label="${2:?--label needs a name}" && shift ;;
    --preset) preset="${2:?--preset needs a name}" && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done

logs="$(mktemp -d)"
trap 'rm -rf "$logs"' EXIT
summary=()  # one line a step: how it ended, after how long, and the last words of ctest
failed=()   # of each failed step: which tests, and their complaints
failures=0
not_run=    # why there are no systemd tests, if there are none
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

say() { printf '\n== %s\n' "$*"; }

# complaints NAME: what a reader of the last lines alone must know of the step whose output is in $logs/output.
complaints() {
  echo "-- $1"
  grep -E '^[[:space:]]+[0-9]+ - .*\([A-Za-z ]+\)$' "$logs/output" | grep -v Skipped
  grep -E -A 5 ': Failure$|ERROR: [A-Za-z]+Sanitizer|runtime error:|: error:|^FAILED: ' "$logs/output" | head -n 25
}

configure() { cmake --preset "$1" >"$logs/configure" 2>&1 || { cat "$logs/configure"; return 1; }; }
build() { configure "$1" && cmake --build --preset "$1" "${@:2}"; }
# Tests wait more than they work, so there may be more of them than processors.
run_tests() { ctest --preset "$1" --parallel "$(($(nproc) + 1))" "${@:2}"; }
chosen=()
if [ -n "$label" ]; then chosen=(-L "^$label\$"); fi

tidy_step() {
  local filter=(-L '^tidy$')
  if [ $quick = yes ]; then filter+=(-E clang_tidy); fi
  configure dev && run_tests dev "${filter[@]}"
}
whole_step() { build "$1" && run_tests "$1" -LE '^(tidy|systemd)$' "${chosen[@]}"; }
systemd_step() { build release && run_tests release -L '^systemd$'; }
fuzz_step() { build fuzz --target fuzz_targets && run_tests fuzz; }
preset_step() {
  if [ "$1" = fuzz ]; then fuzz_step; else build "$1" && run_tests "$1" "${chosen[@]}"; fi
}

# step NAME COMMAND...: runs it, remembers how it ended; a failure does not keep the next step from telling its own.
step() {
  local name=$1 began=$SECONDS ended=passed words
  shift
  say "$name"
  if ! "$@" 2>&1 | tee "$logs/output"; then
    ended=FAILED
    failures=$((failures + 1))
    failed+=("$(complaints "$name")")
  fi
  words="$(grep -E 'tests passed,|^No tests were found' "$logs/output" | tail -n 1)"
  summary+=("$(printf '%-8s %-6s %4ds  %s' "$name" "$ended" $((SECONDS - began)) "${words:-stopped before its tests}")")
}

# These tests, or a line that says why this machine cannot run them. That is no failure: a package source that does not
# answer, or a machine without namespaces, says nothing about what is tested. A build that fails does.
systemd_or_not() {
  local program=build/release/supervisor
  if [ "$(id -u)" -ne 0 ]; then
    not_run="needs root"
  elif ! tests/support/install-packages.sh systemd >"$logs/systemd" 2>&1; then
    not_run="packages: $(tail -n 1 "$logs/systemd")"
  elif { [ -x $program ] || build release; } && ! tests/systemd/make_root.sh $program >"$logs/systemd" 2>&1; then
    not_run="$(tail -n 1 "$logs/systemd")"
  else
    step systemd systemd_step
    return
  fi
  say "systemd: NOT RUN: $not_run"
}

groups=(build test)
if [ $quick = no ]; then groups+=(fuzz); fi
groups+=(tidy)
say "packages"
tests/support/install-packages.sh "${groups[@]}" || exit 1

wants() {  # does --label, if given, leave anything to do in a step of these labels?
  [ -z "$label" ] || [[ " $* " == *" $label "* ]]
}
if [ -n "$preset" ]; then
  step "$preset" preset_step "$preset"
else
  if wants tidy; then step tidy tidy_step; fi
  if wants unit integration incidents lifecycle; then
    step release whole_step release
  fi
  if wants systemd && [ "$quick$label" != yes ]; then systemd_or_not; fi
  if [ $quick = no ] && wants unit integration incidents lifecycle; then step asan whole_step asan; fi
  if [ $quick = no ] && wants fuzz; then step fuzz fuzz_step; fi
fi
if [ ${#summary[@]} -eq 0 ] && [ -z "$not_run" ]; then
  echo "tests/run.sh: nothing has the label '$label'$([ $quick = no ] || echo ' with --quick')" >&2
  exit 2
fi

say "summary"
printf '%s\n' "${failed[@]}" "${summary[@]}"
if [ -n "$not_run" ]; then echo "systemd: NOT RUN: $not_run"; fi
if [ ${#summary[@]} -eq 0 ]; then
  echo "nothing was tested"
  exit 1
fi
if [ $failures -gt 0 ]; then
  echo "FAILED: $failures of ${#summary[@]} steps, after $SECONDS s"
  exit 1
fi
echo "passed: all ${#summary[@]} steps, in $SECONDS s"

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
  asan     unit, integration, fuzz seeds under ASan and UBSan           (preset asan)
  fuzz     each fuzz target for a short time                            (preset fuzz)

  --quick          tidy without clang-tidy, and release; no sanitizer, no fuzzing
  --label LABEL    only the tests with this label: unit, integration, incidents, lifecycle, fuzz, tidy
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
run_tests() { ctest --preset "$1" --parallel "$(nproc)" "${@:2}"; }
chosen=()
if [ -n "$label" ]; then chosen=(-L "^$label\$"); fi

tidy_step() {
  local filter=(-L '^tidy$')
  if [ $quick = yes ]; then filter+=(-E clang_tidy); fi
  configure dev && run_tests dev "${filter[@]}"
}
whole_step() { build "$1" && run_tests "$1" -LE '^tidy$' "${chosen[@]}"; }
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
    if [ $quick = no ]; then step asan whole_step asan; fi
  fi
  if [ $quick = no ] && wants fuzz; then step fuzz fuzz_step; fi
fi
if [ ${#summary[@]} -eq 0 ]; then
  echo "tests/run.sh: nothing has the label '$label'$([ $quick = no ] || echo ' with --quick')" >&2
  exit 2
fi

say "summary"
printf '%s\n' "${failed[@]}" "${summary[@]}"
if [ $failures -gt 0 ]; then
  echo "FAILED: $failures of ${#summary[@]} steps, after $SECONDS s"
  exit 1
fi
echo "passed: all ${#summary[@]} steps, in $SECONDS s"

#!/usr/bin/env bash
# Runs clang-tidy over the program's sources, two at a time. usage: clang_tidy.sh CLANG_TIDY ROOT BUILD [FILE...]
set -euo pipefail
clang_tidy=$1
root=$2
build=$3
shift 3
cd "$root"
if [ ! -f "$build/compile_commands.json" ]; then
  echo "clang_tidy.sh: $build has no compile_commands.json: configure the preset dev first" >&2
  exit 1
fi
if [ $# -eq 0 ]; then mapfile -t sources < <(find common master worker -name '*.cc' | sort); else sources=("$@"); fi
printf '%s\0' "${sources[@]}" |
  xargs -0 -n 1 -P "$(nproc)" "$clang_tidy" --quiet --use-color=false -p "$build" 2>&1 |
  { grep -vE '^[0-9]+ warnings? generated|^Suppressed |^Use -header-filter' || true; }
echo "clang-tidy: ${#sources[@]} files without a finding"

#!/usr/bin/env bash
# Fails when clang-format would change a source file; says which. usage: clang_format.sh CLANG_FORMAT ROOT [--fix]
set -euo pipefail
clang_format=$1
cd "$2"
mapfile -d '' -t sources < <(find common master worker examples tests -type f \
  \( -name '*.cc' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' \) -print0 | sort -z)
if [ "${3:-}" = --fix ]; then
  "$clang_format" --style=file -i "${sources[@]}"
  exit
fi
if ! wrong="$("$clang_format" --style=file --dry-run -Werror "${sources[@]}" 2>&1)"; then
  grep ': error:' <<<"$wrong" | cut -d: -f1 | uniq -c | sed 's/^ *\([0-9]*\) \(.*\)/\2: \1 places are not formatted/'
  echo "mend with: tests/tidy/clang_format.sh $clang_format . --fix"
  exit 1
fi
echo "clang-format: ${#sources[@]} files without a finding"

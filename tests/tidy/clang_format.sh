#!/usr/bin/env bash
# Fails when clang-format would change a source file; says which. usage: clang_format.sh CLANG_FORMAT ROOT [--fix]
set -euo pipefail
clang_format=$1
cd "$2"
mode=(--dry-run -Werror)
if [ "${3:-}" = --fix ]; then mode=(-i); fi
find common master worker examples tests -type f \( -name '*.cc' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' \) \
  -print0 | sort -z | xargs -0 "$clang_format" --style=file "${mode[@]}"

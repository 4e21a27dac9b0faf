#!/usr/bin/env bash
# Installs BUILD into an empty prefix, builds OUTSIDE against it, and lets the installed program check the applications.
# usage: run.sh CMAKE BUILD OUTSIDE
set -euo pipefail
cmake=$1
build=$2
outside=$3
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
prefix="$scratch/prefix"

"$cmake" --install "$build" --prefix "$prefix"
for unit in supervisor supervisor@; do
  if ! grep -q "^ExecStart=$prefix/bin/supervisor --config " "$prefix/lib/systemd/system/$unit.service"; then
    echo "$unit.service does not name the program where it was installed" >&2
    exit 1
  fi
done
"$cmake" -S "$outside" -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
"$cmake" --build "$scratch/build"

for app in outside_cxx outside_c; do
  module="$scratch/build/$app.so"
  exported="$(nm -D --defined-only "$module" | awk '$2 == "T" { print $3 }')"
  if [ "$exported" != supervisor_application ]; then
    echo "$app.so exports '$exported' instead of supervisor_application alone" >&2
    exit 1
  fi
  "$prefix/bin/supervisor" check "$module"
done

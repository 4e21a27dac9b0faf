#!/usr/bin/env bash
# Installs the Debian packages of the named groups of packages.txt, as root or with sudo; those present are left alone.
set -euo pipefail

list="$(dirname "$0")/packages.txt"
if [ $# -eq 0 ]; then
  echo "usage: $0 GROUP...   (groups: $(sed 's/#.*//' "$list" | awk 'NF { print $1 }' | sort -u | paste -sd' '))" >&2
  exit 2
fi

# One word per package wanted, alternatives still joined by "|".
wanted=()
for group in "$@"; do
  mapfile -t of_group < <(sed 's/#.*//' "$list" | awk -v group="$group" '$1 == group { print $2 }')
  if [ ${#of_group[@]} -eq 0 ]; then
    echo "install-packages: there is no group '$group' in $list" >&2
    exit 2
  fi
  wanted+=("${of_group[@]}")
done

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_available() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

# Alternatives of which one is installed need nothing; the others wait until the package lists are fresh.
missing=()
for choice in "${wanted[@]}"; do
  present=no
  for package in ${choice//|/ }; do
    if is_installed "$package"; then present=yes; fi
  done
  if [ $present = no ]; then missing+=("$choice"); fi
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "Packages ($*): all installed already."
  exit 0
fi

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "install-packages: '$*' needs root: run this as root or install sudo" >&2
    exit 1
  fi
}

first_available() {
  for package in ${1//|/ }; do
    if is_available "$package"; then
      echo "$package"
      return
    fi
  done
}

choose() {
  chosen=()
  unknown=()
  for choice in "${missing[@]}"; do
    package="$(first_available "$choice")"
    if [ -n "$package" ]; then chosen+=("$package"); else unknown+=("$choice"); fi
  done
}

choose
if [ ${#unknown[@]} -gt 0 ]; then
  echo "Package lists: apt-get update"
  as_root apt-get update -qq
  choose
fi
if [ ${#unknown[@]} -gt 0 ]; then
  echo "install-packages: this system's package sources have none of: ${unknown[*]}" >&2
  exit 1
fi

install_chosen() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${chosen[@]}" >/dev/null
}

# A service of a package (nginx) must not start on this machine only because a benchmark wants the program: a policy
# file says so to invoke-rc.d while we install, unless the machine has such a policy already.
policy=/usr/sbin/policy-rc.d
remove_policy() { as_root rm -f "$policy"; }
if [ ! -e "$policy" ]; then
  trap remove_policy EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
fi

echo "Packages ($*): apt-get install ${chosen[*]}"
if ! install_chosen; then
  echo "Package lists may be old: apt-get update, and once more"
  as_root apt-get update -qq
  install_chosen
fi

#!/usr/bin/env bash
# Makes the root file system of the test container, unless it is there already, and prints its path.
#
# usage: make_root.sh PROGRAM    (as root; PROGRAM is the built supervisor: the libraries it needs are installed too)
# It is a minimal Debian of this machine's release, from this machine's package source, with systemd. It is kept in
# ${SUPERVISOR_TEST_CACHE:-/var/cache/supervisor-tests} and never written to again: containers lay a layer over it.
# When it cannot be had, the exit code is 1 and the last line of standard error says why.
set -euo pipefail
umask 022  # what root makes here is read by users of the container

cache="${SUPERVISOR_TEST_CACHE:-/var/cache/supervisor-tests}"
program="${1:?usage: make_root.sh PROGRAM}"

give_up() {
  echo "$*" >&2
  exit 1
}

check_machine() {  # whether containers can run here at all: cheap questions, asked first
  [ "$(id -u)" -eq 0 ] || give_up "needs root"
  for command in debootstrap systemd-nspawn unshare setpriv nsenter flock curl; do
    command -v "$command" >/dev/null || give_up "$command is not installed (tests/support/install-packages.sh systemd)"
  done
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || give_up "the kernel has no overlay file system"
  grep -qw cgroup2 /proc/filesystems || give_up "the kernel has no cgroup2 file system"
  unshare --mount --pid --net --fork --mount-proc sh -c 'mount -t tmpfs tmpfs /run && mount -t cgroup2 cgroup2 /mnt' \
    2>/dev/null || give_up "this machine does not allow new mount, process or network namespaces, or mounts in them"
}

# The packages that own the libraries of the program. dpkg knows a file as it was packed: under /lib or under /usr/lib.
# Of a file that was diverted, as the loader's is in Debian 13, it says more than whose it is.
libraries() {
  local files
  files="$(ldd "$program" | grep -o '/[^ ]*')"
  { sed 's|^/usr||' <<<"$files"; sed 's|^/usr||; s|^|/usr|' <<<"$files"; } |
    xargs dpkg-query -S 2>/dev/null | sed '/^diversion by /d; s/:.*//' | sort -u
}

# "MIRROR SUITE" of the first package source of this machine that has the release it runs.
package_source() {
  local suite
  suite="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")"
  [ -n "$suite" ] || return 0
  apt-get update --print-uris 2>/dev/null |
    sed -n "s|^'\(.*\)/dists/$suite/InRelease'.*|\1 $suite|p" | sed 's|/* | |' | head -n 1
}

# Without what a container does not need and what would only be noise among the units under test.
quieten() {
  local root=$1 unit
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-tmpfiles-clean.timer console-getty.service getty.target systemd-logind.service \
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service dev-hugepages.mount \
    sys-fs-fuse-connections.mount systemd-update-utmp.service systemd-update-utmp-runlevel.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # Present from the first boot on, so that no boot is a "first boot" that applies presets; not of this machine.
  echo "$suite supervisor" | md5sum | cut -c 1-32 >"$root/etc/machine-id"
  echo supervisor-test >"$root/etc/hostname"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,man,locale}/*
  : >"$root/etc/resolv.conf"
}

refuse() {  # remembered for a while, or each of many tests would wait for the same silent mirror
  echo "$*" >"$root.refused"
  give_up "$*"
}

is_whole() {
  [ -e "$1/.whole" ] && [ -x "$1/usr/lib/systemd/systemd" ] && [ -x "$1/usr/bin/dbus-daemon" ] &&
    [ -x "$1/usr/bin/bash" ]
}

build() {
  local mirror=$1 half="$root.half"
  curl --silent --show-error --fail --location --retry 1 --max-time 30 --output /dev/null \
    "$mirror/dists/$suite/InRelease" || refuse "the package source of this machine does not answer: $mirror"
  rm -rf "$half" "$root"
  echo "Root file system for tests/systemd: debootstrap $suite into $root" >&2
  # It mounts /proc and /sys below its target: in a namespace of its own nothing stays mounted here, however it ends.
  if ! unshare --mount timeout --kill-after=10 900 debootstrap --variant=minbase \
    --include="$(paste -sd, <<<"$packages")" \
    "$suite" "$half" "$mirror" >"$cache/debootstrap.log" 2>&1 </dev/null; then
    rm -rf "$half"
    refuse "debootstrap failed: $(grep -E '^[EW]:' "$cache/debootstrap.log" | tail -n 1) ($cache/debootstrap.log)"
  fi
  quieten "$half"
  touch "$half/.whole"
  mv "$half" "$root"
}

check_machine
[ -x "$program" ] || give_up "there is no program $program"
read -r mirror suite <<<"$(package_source)" || true
[ -n "${suite:-}" ] || give_up "no package source in /etc/apt has the release of this machine"
packages="$(printf '%s\n' systemd systemd-sysv dbus $(libraries) | sort -u)"
hash="$({ declare -f build quieten; echo "$suite $packages"; } | sha256sum | cut -c 1-12)"
root="$cache/root-$suite-$hash"
mkdir -p "$cache"
exec 9>"$cache/lock"
flock --timeout 1200 9 || give_up "another builder has held $cache/lock for 20 minutes"
if ! is_whole "$root"; then
  if [ -n "$(find "$root.refused" -mmin -10 2>/dev/null)" ]; then give_up "$(cat "$root.refused")"; fi
  build "$mirror"
fi
rm -f "$root.refused"
touch "$root/.whole"
# What nobody has used for a month is of an older list of packages.
find "$cache" -mindepth 2 -maxdepth 2 -name .whole -mtime +30 -printf '%h\0' | xargs -0 --no-run-if-empty rm -rf
echo "$root"

#!/usr/bin/env bash
# Boots the container: a layer over the root file system, with the build installed into it, and systemd-nspawn.
#
# usage: boot_container.sh CGROUP WORK ROOT BUILD    (by keep_container.sh, in new namespaces)
set -euo pipefail
cgroup="$1" work="$2" root="$3" build="$4"
umask 022
trap 'echo "boot_container: the container has ended, with $?"' EXIT

mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work"/{layer,scratch,root}
# Before the boot: what the build brings for systemd-sysusers and systemd-tmpfiles takes effect as on a real machine.
DESTDIR="$work/layer" cmake --install "$build" --prefix /usr >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
mount -t overlay -o "lowerdir=$root,upperdir=$work/layer,workdir=$work/scratch" overlay "$work/root"
mount -t tmpfs -o mode=755 tmpfs /run  # where nspawn leaves files

options=(
  --directory="$work/root" --machine="${work##*/}" --boot --quiet
  --register=no --keep-unit    # this machine need not have a systemd
  --settings=no --resolv-conf=off --timezone=off --link-journal=no
  --console=read-only          # a terminal for the messages of the boot, which end up in our output
  --bind-ro="$build":/usr/lib/supervisor-test
  # The network is the test's own, so the container may have all of it: PrivateNetwork= sets up a loopback interface.
  --capability=CAP_NET_ADMIN
)
# Only nspawn goes into the control group: one with processes of its own cannot hand its controllers on.
(
  echo "$BASHPID" >"$cgroup/cgroup.procs"
  export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_LOG_TARGET=console
  exec systemd-nspawn "${options[@]}"
) &
wait $!

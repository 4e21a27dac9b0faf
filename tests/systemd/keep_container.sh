#!/usr/bin/env bash
# Keeps a container for as long as standard input stays open, and then leaves nothing of it behind.
#
# usage: unshare --mount keep_container.sh WORK ROOT BUILD
# WORK is an empty directory, removed at the end; its last component names the container and its control group.
# Whoever wants the container holds the other end of a pipe: a test that is killed with SIGKILL lets go of it as well.
# All of the container is in one process namespace that dies with its first process: with this script, too. All mounts
# are in namespaces of their own, all files that are written are in a tmpfs of theirs. The control group
# and the empty directory are what the kernel does not take back by itself: they stay if this script is killed.
set -uo pipefail

work="$1"
give_up() {  # nothing is running yet
  rmdir "$work"
  echo "keep_container: the container has not begun"
  exit 1
}

# The one hierarchy, whatever this machine has mounted: the container's systemd is to be the same everywhere.
mount -t cgroup2 cgroup2 /sys/fs/cgroup || give_up
cgroup="/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/${work##*/}"
mkdir "$cgroup" || give_up

remove() {
  find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
  rmdir "$work" 2>/dev/null
  [ ! -e "$cgroup" ] && [ ! -e "$work" ]
}

setpriv --pdeathsig KILL unshare --pid --mount --mount-proc --fork --kill-child=KILL \
  "${0%/*}/boot_container.sh" "$cgroup" "$@" </dev/null &
read -r
trap '' PIPE  # nobody may be left to read what bash says about a job that was killed
# The first process in the namespace: once that has been waited for, all others in it are gone.
read -r first <"/proc/$!/task/$!/children"
kill -KILL ${first:-$!}
wait
until remove; do
  if [ $SECONDS -gt ${gives_up_at:=$((SECONDS + 20))} ]; then
    echo "keep_container: $cgroup or $work is still there"
    exit 1
  fi
  sleep 0.02
done

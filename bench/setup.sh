#!/bin/sh
# What the benchmark suite compares with. Installed when we may (root, apt), otherwise named with the command to type.
set -eu

PATH=$PATH:/usr/sbin
packages=
for program in nginx haproxy; do
    command -v $program >/dev/null 2>&1 || packages="$packages $program"
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: installing$packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    # Debian starts servers when they are installed; in this runlevel it does not.
    export RUNLEVEL=1
    apt-get update -qq >&2
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $packages >&2
else
    echo "Missing on this machine:$packages. Type (or the like on your system):" >&2
    echo "  sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends$packages'" >&2
    exit 1
fi

#!/bin/sh
# Runs in a container of flotilla-base:trixie, as root: makes it a bare Debian again, installs what $1 says, and runs the demo of
# the clone in /clone from /root/flotilla, a folder that only root may enter. Prints the demo's document, then how much
# the clone takes in MB.
set -eu

quietly() { "$@" >/tmp/said 2>&1 </dev/null || { cat /tmp/said >&2; exit 1; }; }

# What Debian itself requires, and apt, are left: debootstrap's minbase.
# shellcheck disable=SC2046 # names of packages
quietly apt-mark auto $(apt-mark showmanual)
quietly apt-get --yes autoremove --purge
for program in make python3 uv git curl; do
    if command -v $program; then echo "not a bare Debian: $program is there" >&2; exit 1; fi
done
quietly apt-get update
# shellcheck disable=SC2086 # a command with its arguments
quietly $1 --yes

cp -R /clone /root/flotilla
cd /root/flotilla
rm /tmp/said
make demo ARGS="--json --runtime process"
du --summarize --block-size=1MB /root/flotilla

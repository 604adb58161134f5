#!/bin/bash
# Builds the base image of Flotilla's images from Debian packages alone, for a machine that reaches a Debian
# mirror and no image registry: Debian trixie, minimal, with Python 3.13. See deploy/README.md.
set -euo pipefail

readonly SUITE=trixie
readonly DEFAULT_TAG=flotilla-base:$SUITE
# python3-venv brings the wheels that `python3 -m venv` needs; the rest is what engines need at run time.
readonly PACKAGES=python3,python3-venv,ca-certificates,tzdata,netbase

usage() {
    cat <<TEXT
usage: deploy/build-base.sh [--force] [TAG]      (default tag: $DEFAULT_TAG)

Builds the image with debootstrap and docker import; needs root. Skips when the image exists, unless --force.

environment:
  FLOTILLA_DEBIAN_MIRROR   Debian mirror to use instead of the one in this host's apt configuration
TEXT
}

say() { printf 'build-base: %s\n' "$*"; }
die() { printf 'build-base: error: %s\n  remedy: %s\n' "$1" "$2" >&2; exit 1; }

parse_arguments() {
    tag=$DEFAULT_TAG force=""
    while [ $# -gt 0 ]; do
        case $1 in
        --force) force=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) tag=$1 ;;
        esac
        shift
    done
}

image_exists() { docker image inspect "$tag" >/dev/null 2>&1; }

require_tools() {
    docker version >/dev/null 2>&1 || die "no Docker engine answers" "scripts/docker-engine"
    [ "$(id -u)" = 0 ] || die "debootstrap needs root" "sudo $0, or give build-engine.sh a base image with --base"
    command -v debootstrap >/dev/null && return
    command -v apt-get >/dev/null || die "debootstrap is not installed" "install debootstrap with this system's package manager"
    say "installing debootstrap with apt (under 1 MB)"
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap debian-archive-keyring </dev/null >/dev/null ||
        die "apt-get could not install debootstrap" "see the messages above"
}

# The mirror that this host's own Debian release comes from.
host_mirror() {
    [ -r /etc/os-release ] && command -v apt-get >/dev/null || return 0
    local codename
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || return 0
    # Unlike `apt-get indextargets` this answers before the first `apt-get update`, too.
    apt-get --print-uris update | sed -nE "s#^'(https?://.*)dists/($codename|stable)/InRelease'.*#\\1#p" | sed -n 1p
}

# debootstrap downloads with wget, which does not read apt's proxy.
use_apt_proxy() {
    command -v apt-config >/dev/null || return 0
    local proxy=""
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then export http_proxy=$proxy; fi
}

# When interrupted, debootstrap must be gone before its folder is, and can leave /proc mounted in there:
# never delete through a mount.
remove_rootfs() {
    if [ -n "$child" ] && kill -TERM -- "-$child" 2>/dev/null; then wait "$child" || true; fi
    umount -l "$rootfs/proc" "$rootfs/sys" 2>/dev/null || true
    rm -rf --one-file-system "$rootfs" "$rootfs.log" "$rootfs.list"
}

bootstrap() { # $1: mirror
    local script=/usr/share/debootstrap/scripts/$SUITE
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # a debootstrap older than the release
    setsid debootstrap --variant=minbase --include=$PACKAGES $SUITE "$rootfs" "$1" "$script" >"$rootfs.log" 2>&1 </dev/null &
    child=$! # leads its own process group, so that all of it can be ended
    if wait "$child"; then child="" && return; fi
    child=""
    tail -n 20 "$rootfs.log" | without_password >&2
    die "debootstrap failed" "see its last lines above; another mirror: FLOTILLA_DEBIAN_MIRROR=URL $0"
}

without_password() { sed 's#//[^/@]*@#//#'; }

# What a container never needs, and a mirror's password. The copyright files and Python's compiled modules stay.
slim() {
    without_password <"$rootfs/etc/apt/sources.list" >"$rootfs.list"
    mv "$rootfs.list" "$rootfs/etc/apt/sources.list"
    rm -rf "$rootfs"/var/lib/apt/lists/* "$rootfs"/var/cache/apt/*.bin "$rootfs"/var/cache/apt/archives/*.deb \
        "$rootfs"/var/cache/debconf/*-old "$rootfs"/var/log/* "$rootfs"/usr/share/{man,info,locale,lintian}/*
    find "$rootfs/usr/share/doc" -type f ! -name copyright -delete
    find "$rootfs/usr/share/doc" -type d -empty -delete
    rm -rf "$rootfs"/debootstrap "$rootfs"/etc/{hostname,resolv.conf}
}

import_rootfs() {
    tar --directory "$rootfs" --create --numeric-owner --one-file-system --exclude './dev/*' . |
        docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' --change "LABEL org.opencontainers.image.title=$tag" - "$tag" >/dev/null
}

main() {
    parse_arguments "$@"
    if [ -z "$force" ] && image_exists; then
        say "$tag exists, nothing to do"
        return
    fi
    require_tools
    local mirror=${FLOTILLA_DEBIAN_MIRROR:-$(host_mirror)}
    [ -n "$mirror" ] || die "this host's apt configuration names no Debian mirror" "FLOTILLA_DEBIAN_MIRROR=URL $0"
    use_apt_proxy
    # Not in /tmp, which may be small, in memory or without device files.
    rootfs=$(mktemp -d /var/tmp/flotilla-base.XXXXXX) child=""
    trap remove_rootfs EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod 755 "$rootfs"
    say "bootstrapping Debian $SUITE with Python 3.13 from $(without_password <<<"$mirror") (about 50 MB to download, 1 to 3 minutes)"
    bootstrap "$mirror"
    slim
    say "importing it as $tag"
    import_rootfs
    docker image inspect --format "{{.Id}} {{.Size}}" "$tag" |
        awk '{ printf "build-base: done: %s, %.0f MB\n", $1, $2 / 1e6 }'
}

main "$@"

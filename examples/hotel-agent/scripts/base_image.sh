#!/bin/sh
# Makes the image that the service is built on, hotel-agent-base:local, if it is not there: Debian with Python 3, from the
# package mirror of this machine. No registry is asked. Takes about a minute, once.
#   HOTEL_BASE_ROOT=base.tar    take this root file system instead
# Exit code: 0 it is there, 2 something is missing here, 75 the mirror did not answer (try again).
set -eu
image=${HOTEL_BASE_IMAGE:-hotel-agent-base:local}
say() { echo "base_image.sh: $*" >&2; }

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there"
    exit 0
fi
docker version >/dev/null || { say "the Docker Engine does not answer"; exit 2; }
root=${HOTEL_BASE_ROOT:-}
if [ -z "$root" ]; then
    command -v debootstrap >/dev/null 2>&1 ||
        { say "this machine lacks debootstrap (Debian: sudo apt-get install -y debootstrap); or build any image with Python 3.9 and tag it $image"; exit 2; }
    [ "$(id -u)" = 0 ] || { say "debootstrap needs root; or build any image with Python 3.9 and tag it $image"; exit 2; }
    work=$(mktemp -d "${TMPDIR:-/tmp}/hotel-agent-base.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    # shellcheck disable=SC1091  # there on every machine with debootstrap
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb .*\(https*:[^ ]*\/debian\/*\) .*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | grep -v security | head -n 1)
    debootstrap --variant=minbase --include=python3 "$release" "$work/root" ${mirror:+"$mirror"} >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; say "debootstrap failed"; exit 75; }
    rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"
    tar -C "$work/root" -cf "$work/base.tar" .
    root=$work/base.tar
fi
docker import "$root" "$image"

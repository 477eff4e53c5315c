#!/bin/sh
# Makes the image that the service is built on, hotel-agent-base:local, if it is not there: Debian with Python 3, from the
# package mirror of this machine. No registry is asked. Takes about a minute, once. Needs root, and a Docker Engine.
#   HOTEL_BASE_ROOT=base.tar      keep the root file system here: made if it is not there, taken if it is
#   HOTEL_BASE_IMAGE=name:tag     another name for the image
# Any image with Python 3.9 or newer will do: tag it hotel-agent-base:local, and this does nothing.
# Exit code: 0 it is there, 2 something is missing or wrong here, 75 the mirror did not answer (try again).
set -eu
image=${HOTEL_BASE_IMAGE:-hotel-agent-base:local}
say() { echo "base_image.sh: $*" >&2; }

why=$(docker version --format '{{.Server.Version}}' 2>&1) || { say "the Docker Engine does not answer: $why"; exit 2; }
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there"
    exit 0
fi

# Makes the root file system at $1, whole or not at all.
make_root() {
    PATH=$PATH:/usr/sbin:/sbin
    command -v debootstrap >/dev/null 2>&1 ||
        { say "this machine lacks debootstrap (Debian: sudo apt-get install -y debootstrap); or tag any image with Python 3.9 or newer as $image"; exit 2; }
    [ "$(id -u)" = 0 ] ||
        { say "debootstrap needs root: run sudo sh scripts/base_image.sh once; or tag any image with Python 3.9 or newer as $image"; exit 2; }
    # shellcheck disable=SC1091  # there on every machine with debootstrap
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb .*\(https*:[^ ]*\/debian\/*\) .*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | grep -v security | head -n 1)
    # Its downloader reads the names in small letters only.
    for name in http_proxy https_proxy no_proxy; do
        eval "value=\${$name:-\${$(echo "$name" | tr '[:lower:]' '[:upper:]'):-}}"
        [ -z "$value" ] || export "$name=$value"
    done
    debootstrap --variant=minbase --include=python3 "$release" "$work/root" ${mirror:+"$mirror"} >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        say "debootstrap could not make the root file system of $release${mirror:+ from $mirror}"
        grep -q -i -E 'download|retriev|getting release' "$work/log" && exit 75
        exit 2
    }
    rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"
    # Beside its place, so that a run that is killed leaves no half of one there.
    tar -C "$work/root" -cf "$1.$$" . && mv "$1.$$" "$1"
}

# Whatever ends this: what debootstrap mounts or leaves goes with it.
clean() {
    umount "$work/root/proc" "$work/root/sys" 2>/dev/null || :
    rm -rf --one-file-system "$work" "$root.$$"
}

root=${HOTEL_BASE_ROOT:-}
if [ -z "$root" ] || [ ! -e "$root" ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/hotel-agent-base.XXXXXX")
    root=${root:-$work/base.tar}
    trap clean EXIT
    trap 'exit 130' INT TERM
    make_root "$root"
fi
docker import "$root" "$image"

#!/bin/sh
# Sees to it that programs are there: packages.sh PROGRAM:PACKAGE...  (the Debian package that has the program)
#
# What is missing is installed where that is possible without asking: as root on Debian or Ubuntu. Elsewhere this says
# what to install. A package that starts a daemon when it is installed is kept from doing so: a plan starts instances of
# its own. Programs of /usr/sbin and /sbin count as there, also when PATH lacks them.
# Exit code: 0 all there, 2 something is missing or the call is wrong, 75 the package mirror did not answer (try again).
set -eu
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin

[ $# -gt 0 ] || { echo "packages.sh: say what is needed, such as amtool:prometheus-alertmanager" >&2; exit 2; }
for pair in "$@"; do
    case $pair in
        ?*:?*) ;;
        *) echo "packages.sh: \`$pair\` is not PROGRAM:PACKAGE" >&2; exit 2 ;;
    esac
done

# The packages whose program is missing, each once, each after a space.
lacking() {
    list=
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 && continue
        case "$list " in *" ${pair#*:} "*) ;; *) list="$list ${pair#*:}" ;; esac
    done
    printf '%s' "$list"
}

# Exit code 101 of this file means "don't start it" to Debian's invoke-rc.d. One that is there already is left alone.
policy=/usr/sbin/policy-rc.d
install() {
    mine=
    if [ ! -e "$policy" ]; then
        mine=yes
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    # shellcheck disable=SC2086  # several words on purpose
    apt-get install -q -y --no-install-recommends $1 || { apt-get update -q && apt-get install -q -y --no-install-recommends $1; }
    code=$?
    [ -z "$mine" ] || rm -f "$policy"
    return $code
}

lacks=$(lacking "$@")
tried=
if [ -n "$lacks" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "packages.sh: installing$lacks"
    export DEBIAN_FRONTEND=noninteractive
    install "$lacks" || tried=" and apt-get could not install it"
    lacks=$(lacking "$@")
fi
if [ -n "$lacks" ]; then
    echo "packages.sh: this machine lacks$lacks$tried" >&2
    echo "packages.sh: Debian, Ubuntu: sudo apt-get install -y$lacks; elsewhere install the programs: $*" >&2
    [ -z "$tried" ] || exit 75
    exit 2
fi
for pair in "$@"; do
    echo "${pair%%:*}: $(command -v "${pair%%:*}")"
done

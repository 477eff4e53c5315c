#!/bin/sh
# Makes .venv with the test tools, or leaves it alone when it already has what requirements-dev.txt asks for.
#
# What the system lacks (make, python3, its venv module) is installed where that is possible without asking: as root on
# Debian or Ubuntu. Elsewhere this says what to install.
# Exit code: 0 done, 2 something is missing or wrong here, 75 the package index did not answer (try again).
set -eu
: "${PYTHON:=python3}"

# The Debian packages that are missing, each after a space.
lacking() {
    command -v make >/dev/null 2>&1 || printf ' make'
    if ! command -v "$PYTHON" >/dev/null 2>&1; then
        printf ' python3 python3-venv'
    elif ! "$PYTHON" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        printf ' python3-venv'
    fi
}

lacks=$(lacking)
if [ -n "$lacks" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "venv.sh: installing$lacks"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # several words on purpose
    apt-get install -y --no-install-recommends $lacks || { apt-get update && apt-get install -y --no-install-recommends $lacks; } || :
    lacks=$(lacking)
fi
if [ -n "$lacks" ]; then
    echo "venv.sh: this machine lacks$lacks" >&2
    echo "venv.sh: Debian, Ubuntu: sudo apt-get install -y$lacks; Fedora: sudo dnf install -y make python3; macOS: xcode-select --install" >&2
    exit 2
fi

has_tools() {
    .venv/bin/python -c 'import pytest, pytest_cov' 2>/dev/null
}

stamp=.venv/.requirements-dev.txt
if [ -x .venv/bin/python ] && cmp -s requirements-dev.txt "$stamp" && has_tools; then
    echo "virtual environment is up to date"
    exit 0
fi
"$PYTHON" -m venv --clear .venv
if ! .venv/bin/python -m pip install --quiet -r requirements-dev.txt; then
    echo "venv.sh: pip could not install requirements-dev.txt; is the package index reachable? HTTPS_PROXY, PIP_INDEX_URL and PIP_FIND_LINKS are honoured" >&2
    exit 75
fi
if ! has_tools; then
    echo "venv.sh: pytest or pytest-cov can't be imported; requirements-dev.txt must name both" >&2
    exit 2
fi
cp requirements-dev.txt "$stamp"
echo "virtual environment made"

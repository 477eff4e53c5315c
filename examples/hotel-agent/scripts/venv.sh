#!/bin/sh
# Makes .venv with the test tools, or leaves it alone when it already has what requirements-dev.txt asks for.
set -eu
: "${PYTHON:=python3}"
if ! command -v "$PYTHON" >/dev/null 2>&1; then
    echo "venv.sh: $PYTHON not found; install Python 3.9 or newer (Debian: apt-get install python3 python3-venv)" >&2
    exit 2
fi
stamp=.venv/.requirements-dev.txt
if [ -x .venv/bin/python ] && cmp -s requirements-dev.txt "$stamp" && .venv/bin/python -c 'import pytest, pytest_cov' 2>/dev/null; then
    echo "virtual environment is up to date"
    exit 0
fi
if ! "$PYTHON" -m venv --clear .venv; then
    echo "venv.sh: this Python can't make virtual environments (Debian: apt-get install python3-venv)" >&2
    exit 2
fi
.venv/bin/python -m pip install --quiet -r requirements-dev.txt
cp requirements-dev.txt "$stamp"
echo "virtual environment made"

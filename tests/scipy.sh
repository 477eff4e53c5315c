#!/bin/sh
# Puts SciPy, from PyPI, into a virtual environment under target/, for the tests that hold the statistics against it.
#   tests/scipy.sh
set -eu
cd "$(dirname "$0")/.."
venv=target/scipy
if ! "$venv/bin/python" -c 'import scipy' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" --quiet --disable-pip-version-check install 'scipy>=1.11'
fi
"$venv/bin/python" -c 'import scipy; print("scipy", scipy.__version__)'

#!/bin/sh
# Adds what the named requirement files ask for to .venv, or leaves it alone when it has that already.
#
#   venv_add.sh requirements-security.txt
#
# Exit code: 0 done, 2 there is no .venv or the call is wrong, 75 the package index did not answer (try again).
set -eu
[ $# -gt 0 ] || { echo "venv_add.sh: say which requirement files" >&2; exit 2; }
[ -x .venv/bin/python ] || { echo "venv_add.sh: there is no .venv: run scripts/venv.sh first" >&2; exit 2; }
for file in "$@"; do
    stamp=.venv/.$(basename "$file")
    if cmp -s "$file" "$stamp"; then
        echo "$file: up to date"
        continue
    fi
    if ! .venv/bin/python -m pip install --quiet -r "$file"; then
        echo "venv_add.sh: pip could not install $file; is the package index reachable? HTTPS_PROXY, PIP_INDEX_URL and PIP_FIND_LINKS are honoured" >&2
        exit 75
    fi
    cp "$file" "$stamp"
    echo "$file: installed"
done

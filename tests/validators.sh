#!/bin/sh
# Puts the validators of export formats under target/validators: from PyPI the models of in-toto, OpenTelemetry and JUnit,
# from npm those of CTRF, TAP and Chrome traces. Nothing of them is part of the program.
#   tests/validators.sh
set -eu
cd "$(dirname "$0")/.."
home=target/validators
python=$home/bin/python
have='import google.protobuf, in_toto_attestation, junitparser, opentelemetry.proto'
if ! "$python" -c "$have" 2>/dev/null; then
    python3 -m venv "$home"
    "$home/bin/pip" --quiet --disable-pip-version-check install \
        'in-toto-attestation>=0.9.3,<0.10' 'opentelemetry-proto>=1.30,<2' 'junitparser>=4,<6'
fi
"$python" -c "$have"
if [ ! -d "$home/node_modules/ctrf" ] || [ ! -d "$home/node_modules/tap-parser" ] ||
    [ ! -d "$home/node_modules/@tracerbench/trace-model" ]; then
    npm install --silent --no-audit --no-fund --no-save --prefix "$home" ctrf@0.3 tap-parser@18 \
        @tracerbench/trace-model@8
fi
echo "validators in $home"

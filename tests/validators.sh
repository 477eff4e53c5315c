#!/bin/sh
# Puts what the tests hold the program against under target/validators: from PyPI the models of in-toto, OpenTelemetry and
# JUnit, the schema validators Taplo and Tombi and a language client; from npm those of CTRF, TAP and Chrome traces, and
# what drives a browser (puppeteer-core, axe-core, mermaid). Nothing of them is part of the program.
#   tests/validators.sh
set -eu
cd "$(dirname "$0")/.."
home=target/validators
python=$home/bin/python
have='import google.protobuf, in_toto_attestation, junitparser, lsprotocol, opentelemetry.proto, pygls'
if ! { "$python" -c "$have" && [ -x "$home/bin/taplo" ] && [ -x "$home/bin/tombi" ]; } 2>/dev/null; then
    python3 -m venv "$home"
    "$home/bin/pip" --quiet --disable-pip-version-check install \
        'in-toto-attestation>=0.9.3,<0.10' 'opentelemetry-proto>=1.30,<2' 'junitparser>=4,<6' \
        'pygls>=2.1,<3' 'taplo>=0.9.3,<0.10' 'tombi>=1.9.6,<2'
fi
"$python" -c "$have"
for module in ctrf tap-parser @tracerbench/trace-model puppeteer-core axe-core mermaid; do
    [ ! -d "$home/node_modules/$module" ] || continue
    npm install --silent --no-audit --no-fund --no-save --prefix "$home" ctrf@0.3 tap-parser@18 \
        @tracerbench/trace-model@8 puppeteer-core@24 axe-core@4 mermaid@11
    break
done
echo "validators in $home"

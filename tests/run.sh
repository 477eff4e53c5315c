#!/bin/sh
# Runs everything that is tested: formatting, lints, all tests, documentation, schema, and the quickstart plan on the
# release build. On a Debian-like machine, as root, it installs the packages that the tests need; elsewhere it says which
# are missing. Stops at the first part that fails and names it.
#   tests/run.sh
set -u
cd "$(dirname "$0")/.." || exit 1
export CARGO_TERM_COLOR=never
export CARGO_TERM_PROGRESS_WHEN=never

log=$(mktemp "${TMPDIR:-/tmp}/runplan-tests.XXXXXX") || exit 1
policy=
trap 'rm -f "$log" ${policy:+"$policy"}' EXIT
trap 'exit 130' INT TERM

began=$(date +%s)
since() { echo $(($(date +%s) - began)); }

fail() {
    echo
    echo "FAILED after $(since) s: $1"
    exit 1
}

# Runs one part; $1 is its name.
part() {
    name=$1
    shift
    echo
    echo "== $name: $*"
    "$@" || fail "$name"
}

# ── what the tests need ─────────────────────────────────────────────────────────────────────────────────────────────
for tool in cargo rustfmt cargo-clippy; do
    command -v "$tool" >/dev/null 2>&1 ||
        fail "setup: \`$tool\` is missing; install the Rust toolchain (1.89 or later, with rustfmt and clippy)"
done

# Programs and the Debian packages that have them.
needs="cc:build-essential git:git make:make node:nodejs npm:npm nvim:neovim perl:perl pgrep:procps ps:procps python3:python3 script:bsdutils setsid:util-linux
ssh-keygen:openssh-client strace:strace tar:tar openssl:openssl nginx:nginx prometheus:prometheus promtool:prometheus
prometheus-alertmanager:prometheus-alertmanager amtool:prometheus-alertmanager
docker:docker.io dockerd:docker.io docker-compose:docker-compose debootstrap:debootstrap iptables:iptables ip:iproute2
chromium:chromium dot:graphviz fish:fish groff:groff-base tmux:tmux zsh:zsh nsenter:util-linux setpriv:util-linux unshare:util-linux"

missing() {
    packages=
    for pair in $needs; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair#*:}"
    done
    python3 -c 'import venv, ensurepip' 2>/dev/null || packages="$packages python3-venv"
    echo "$packages" | tr ' ' '\n' | sort -u | grep -v '^$' | tr '\n' ' '
}

packages=$(missing)
if [ -n "$packages" ]; then
    echo "== setup: missing $packages"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        # Some of them start a daemon when they are installed; 101 keeps them from it. The tests start what they need.
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            policy=/usr/sbin/policy-rc.d
            printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
        fi
        apt-get update -q || fail "setup: apt-get update"
        # shellcheck disable=SC2086 # a list of words
        apt-get install -q -y --no-install-recommends $packages || fail "setup: apt-get install $packages"
        [ -z "$policy" ] || rm -f "$policy"
        policy=
        packages=$(missing)
    fi
    if [ -n "$packages" ]; then
        # Without them their tests are skipped, except in CI.
        [ -z "${CI:-}" ] || fail "setup: install these packages: $packages"
        echo "   the tests that need them are skipped; install these packages to run them: $packages"
    fi
fi

# Python modules of the tests come from PyPI, into an environment of their own.
venv=$PWD/target/tests-venv
if ! "$venv/bin/python3" -c 'import jsonschema' 2>/dev/null; then
    mkdir -p target
    echo "== setup: $venv with jsonschema"
    if ! { python3 -m venv --clear "$venv" && "$venv/bin/python3" -m pip install --quiet jsonschema; }; then
        [ -z "${CI:-}" ] || fail "setup: python3 -m venv, pip install jsonschema"
        echo "   the tests that need it are skipped"
    fi
fi
[ ! -x "$venv/bin/python3" ] || PATH=$venv/bin:$PATH
export PATH
# SciPy, which the statistics are held against; without it their test is skipped, except in CI.
tests/scipy.sh || {
    [ -z "${CI:-}" ] || fail "setup: tests/scipy.sh could not install scipy"
    echo "   without scipy the statistics are not held against it"
}

# Validators of the export formats, from PyPI and npm; without them their tests are skipped, except in CI.
tests/validators.sh || {
    [ -z "${CI:-}" ] || fail "setup: tests/validators.sh could not install the validators"
    echo "   without them exports are not held against the models of their formats"
}

# ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────────────
part "format" cargo fmt --check
part "lints" cargo clippy --quiet --locked --all-targets -- -D warnings
# Some tests hold both builds against each other.
part "release build" cargo build --quiet --locked --release
RUNPLAN_RELEASE=$PWD/target/release/runplan
export RUNPLAN_RELEASE

echo
echo "== tests: cargo test"
# Through a file, not a pipe: a pipe would hide the exit code.
cargo test --locked --no-fail-fast >"$log" 2>&1
code=$?
cat "$log"
[ "$code" = 0 ] || {
    grep -E '^test .* FAILED$|^test result:' "$log"
    fail "tests"
}
passed=$(grep '^test result:' "$log")

RUSTDOCFLAGS="-D warnings"
export RUSTDOCFLAGS
part "documentation" cargo doc --quiet --locked --no-deps
unset RUSTDOCFLAGS

echo
echo "== schema: the committed one is the program's own"
cargo run --quiet --locked --release -- schema >"$log" || fail "schema"
cmp "$log" schemas/blueprint.schema.json || fail "schema: run the tests with UPDATE_SCHEMA=1 and commit schemas/"

part "quickstart" cargo run --quiet --locked --release -- examples/quickstart/blueprint.toml

# ── what came out ───────────────────────────────────────────────────────────────────────────────────────────────────
echo
echo "== all parts passed in $(since) s"
echo "$passed"

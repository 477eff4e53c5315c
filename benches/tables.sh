#!/bin/sh
# Runs the benchmarks and writes their tables into the pages, between `<!-- NAME -->` and `<!-- end -->`.
# usage: sh benches/tables.sh [FOLDER with the Standard Task Graph Set]
# Takes a quarter of an hour or more; SIZES=1000,10000 ROUNDS=3 make it shorter.
set -eu
cd "$(dirname "$0")/.."
sizes=${SIZES:-1000,10000,100000}
rounds=${ROUNDS:-5}
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT

# fill NAME PAGE: what the benchmark NAME printed goes into PAGE.
fill() {
    awk -v name="$1" -v table="$found/$1" '
        $0 == "<!-- " name " -->" { print; print ""; while ((getline line < table) > 0) print line; print ""; inside = 1 }
        $0 == "<!-- end -->" { inside = 0 }
        !inside { print }
    ' "$2" > "$found/page"
    cat "$found/page" > "$2"
}

cargo bench --quiet --bench micro -- --rounds "$rounds" > "$found/micro"
fill micro benches/README.md
cargo bench --quiet --bench peers -- --rounds "$rounds" > "$found/peers"
cargo bench --quiet --bench peers -- --rounds "$rounds" --steps 10000 --shape wide --jobs 8 > "$found/more"
{ echo; cat "$found/more"; } >> "$found/peers"
fill peers benches/README.md
cargo bench --quiet --bench curves -- --rounds "$rounds" --sizes "$sizes" --svg benches/curves.svg > "$found/curves"
{ echo; echo '![CPU time and memory by steps](curves.svg)'; } >> "$found/curves"
fill curves benches/README.md
if [ $# -gt 0 ]; then
    cargo bench --quiet --bench schedule -- "$1" > "$found/schedule"
    fill schedule plans/SCHEDULING.md
fi

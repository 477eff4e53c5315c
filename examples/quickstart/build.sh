# Builds two pages into out/ and tells the version to the steps that follow.
set -eu
mkdir -p out
page() {
    printf '<!doctype html>\n<html lang="%s">\n<title>Quickstart</title>\n<h1>%s</h1>\n' "$1" "$2"
    printf '<p>%s</p>\n' "$3"
    printf '</html>\n'
}
page en "$GREETING" "This page was built by a step, served by another, and looked at by a third." > out/index.html
page es "hola" "Esta página la hizo un paso, la sirve otro y la mira un tercero." > out/es.html
echo "version=1.4.0" >> "$RUNPLAN_OUTPUT"

#!/bin/sh
# Checks two revisions of the service out, side by side, each in a git worktree of its own:
#
#   canary_trees.sh BASELINE CANDIDATE [FOLDER]      FOLDER/baseline and FOLDER/candidate (FOLDER: .canary)
#   canary_trees.sh --remove [FOLDER]                takes them away again
#
# Prints which commits they are, as JSON. A revision is anything that git knows (a branch, a tag, a commit); a branch that
# is only on `origin` is found there. What is not committed is not in the comparison, and this says so.
# Exit code: 0 done, 2 there is no such revision, or no git repository.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

say() { echo "canary_trees.sh: $*" >&2; }
fail() { say "$@"; exit 2; }
quiet() { git -c core.hooksPath=/dev/null -c advice.detachedHead=false "$@" >/dev/null; }

remove() {
    for side in baseline candidate; do
        if [ -e "$folder/trees/$side" ]; then
            quiet worktree remove --force "$folder/trees/$side" 2>/dev/null || rm -rf "$folder/trees/$side"
        fi
    done
    rm -rf "$folder"
}

if [ "${1:-}" = --remove ]; then
    folder=${2:-.canary}
    remove
    exit 0
fi
[ $# -ge 2 ] || fail "say which revisions: canary_trees.sh main HEAD"
folder=${3:-.canary}

command -v git >/dev/null 2>&1 || fail "this machine lacks git; Debian, Ubuntu: sudo apt-get install -y git"
if ! why=$(git rev-parse --git-dir 2>&1); then
    say "$why"
    fail "clone the repository with its history: a copy without .git does not do"
fi
prefix=$(git rev-parse --show-prefix)

# The commit of a revision; $2 is the variable of the plan that names it.
commit() {
    case $1 in -* | '') fail "\`$1\` is not a revision: say one with --var $2=REVISION" ;; esac
    for name in "$1" "origin/$1"; do
        git rev-parse --verify --quiet "$name^{commit}" && return 0
    done
    there=$(git for-each-ref --count=8 --sort=-committerdate --format='%(refname:short)' refs/heads refs/remotes | tr '\n' ' ')
    say "there is no revision \`$1\` in this repository; branches: ${there:-none}"
    fail "say another with --var $2=REVISION"
}
baseline=$(commit "$1" baseline)
candidate=$(commit "$2" candidate)

remove
mkdir -p "$folder/trees"
for side in baseline candidate; do
    [ "$side" = baseline ] && revision=$baseline || revision=$candidate
    quiet worktree add --quiet --detach --force "$folder/trees/$side" "$revision" || fail "git could not check out $revision"
    [ -f "$folder/trees/$side/${prefix}app/__main__.py" ] ||
        fail "$(echo "$revision" | cut -c1-12) has no service in \`${prefix:-.}\`: say another with --var $side=REVISION"
    ln -s "trees/$side/$prefix" "$folder/$side"
done
[ "$baseline" != "$candidate" ] || say "baseline and candidate are the same commit: the comparison is a rehearsal"
changed=$(git status --porcelain -- app | wc -l)
[ "$changed" -eq 0 ] || say "$changed files below app/ are not committed: they are not in the comparison"
printf '{"baseline": {"revision": "%s", "commit": "%s"}, "candidate": {"revision": "%s", "commit": "%s"}}\n' \
    "$1" "$baseline" "$2" "$candidate"

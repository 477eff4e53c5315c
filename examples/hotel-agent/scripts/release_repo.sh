#!/bin/sh
# The repository that the staging tag is made in:
#
#   release_repo.sh FOLDER
#
# For the folder `.release/work` it makes a clone of the repository that the service lies in, at the commit that is checked
# out, with a bare repository beside it as `origin`, so that a rehearsal of the checklist pushes nothing anywhere. Both
# stay, so that a tag made once is there the next time. Any other folder is a repository of your own, which is only looked
# at. Without git history (an unpacked archive) the clone gets one commit of the files as they are.
# Prints the commit. Exit code: 0 done, 2 there is no git, or the folder is no repository.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1

folder=${1:?say which folder}
say() { echo "release_repo.sh: $*" >&2; }
command -v git >/dev/null 2>&1 || { say "this machine lacks git; Debian, Ubuntu: sudo apt-get install -y git"; exit 2; }

if [ "$folder" != .release/work ]; then
    git -C "$folder" rev-parse --verify --quiet 'HEAD^{commit}' && exit 0
    say "\`$folder\` is no git repository with a commit"
    exit 2
fi

git="git -C $folder -c user.name=release -c user.email=release@hotel.invalid -c commit.gpgsign=false -c core.hooksPath=/dev/null"
if [ ! -d .release/origin.git ] || [ ! -d "$folder/.git" ]; then
    rm -rf .release
    mkdir -p .release
    git init --quiet --bare .release/origin.git
    git init --quiet "$folder"
    $git remote add origin ../origin.git
    $git config user.name release
    $git config user.email release@hotel.invalid
    $git config tag.gpgsign false
fi
if commit=$(git rev-parse --verify --quiet 'HEAD^{commit}') && [ "$(git rev-parse --is-inside-work-tree)" = true ]; then
    $git fetch --quiet --no-tags "$(git rev-parse --show-toplevel)" "$commit" 2>/dev/null ||
        $git fetch --quiet --no-tags "$(git rev-parse --show-toplevel)" HEAD
    $git checkout --quiet --force --detach "$commit"
    say "a clone of $(git rev-parse --show-toplevel)"
elif ! $git rev-parse --verify --quiet 'HEAD^{commit}' >/dev/null; then
    say "there is no git history here: one commit of the files as they are"
    cp -R app scripts docs pytest.ini Makefile Dockerfile "$folder/"
    $git add --all
    GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' $git commit --quiet -m "The service as it is"
fi
$git rev-parse --verify 'HEAD^{commit}'

#!/bin/sh
# Docker Compose with the staging file, by whichever of its two programs there is:  compose.sh --profile pms up -d
#
#   compose.sh check    does the engine answer, is there Compose, is the project nobody else's
#   compose.sh health   a line for each container, `app healthy`; of one that is not, on stderr what it and its check said last
#
# COMPOSE_PROJECT_NAME names the project (default hotel-staging), HOTEL_PORT the port of this machine that the service is
# published on. A project of that name that was started from another folder is left alone.
# Exit code: that of Compose; 2 there is no Compose, no Docker Engine that answers, or the project is somebody else's.
set -eu
cd "$(dirname "$0")/.."
: "${COMPOSE_PROJECT_NAME:=hotel-staging}"
export COMPOSE_PROJECT_NAME

say() { echo "compose.sh: $*" >&2; }
command -v docker >/dev/null 2>&1 || { say "this machine lacks docker; Debian: sudo apt-get install -y docker.io docker-compose"; exit 2; }
if ! why=$(docker version --format '{{.Server.Version}}' 2>&1); then
    say "the Docker Engine does not answer: $why"
    say "start it (sudo systemctl start docker, or sudo dockerd), see that you may use it (sudo adduser \$USER docker, then log in again), or say where it is by DOCKER_HOST"
    exit 2
fi
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif command -v docker-compose >/dev/null 2>&1; then
    compose=docker-compose
else
    say "this machine lacks Docker Compose; Debian: sudo apt-get install -y docker-compose"
    exit 2
fi

# The containers of the project; `-a`: also those that ended.
containers() {
    docker ps -a --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" "$@"
}

# A stack of that name which somebody started elsewhere would be replaced by `up`, and removed by `down`.
here=$(pwd -P)
other=$(containers --format '{{.Label "com.docker.compose.project.working_dir"}}' | grep -v -x -F "$here" | sort -u || :)
if [ -n "$other" ]; then
    say "there is a Compose project $COMPOSE_PROJECT_NAME already, started from $(echo "$other" | tr '\n' ' ')"
    say "take another name by --var compose_project=NAME, or take that one down"
    exit 2
fi

# Without the settings Compose does not even take down; where nothing is up, it need not.
case " $* " in
*" down "*)
    networks=$(docker network ls --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
    if [ -z "$(containers --quiet)$networks" ]; then
        echo "compose.sh: nothing is up"
        exit 0
    fi
    ;;
esac

case ${1:-} in
check)
    echo "compose.sh: engine $why, $compose"
    ;;
health)
    containers --format '{{.ID}} {{.Label "com.docker.compose.service"}}' | sort -k 2 | while read -r id service; do
        state=$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$id")
        echo "$service $state"
        [ "$state" = healthy ] || {
            say "$service wrote last:"
            docker logs --tail 3 "$id" >&2 2>&1
            said=$(docker inspect --format '{{if .State.Health}}{{range .State.Health.Log}}{{println .Output}}{{end}}{{end}}' "$id" | grep -v '^$' | tail -n 1)
            say "$service is $state${said:+; its health check said last: $said}"
        }
    done
    ;;
*)
    echo "compose.sh: engine $why: $compose -f docker-compose.staging.yml $*"
    # What Compose says of a port that is taken is too long a line to be read to its end.
    said=$(mktemp "${TMPDIR:-/tmp}/compose.XXXXXX")
    trap 'rm -f "$said"' EXIT
    trap 'cat "$said" >&2; exit 130' INT TERM
    code=0
    # shellcheck disable=SC2086  # one or two words
    $compose -f docker-compose.staging.yml "$@" 2>"$said" || code=$?
    cat "$said" >&2
    if [ "$code" != 0 ] && grep -q -E 'port is already allocated|address already in use' "$said"; then
        say "port ${HOTEL_PORT:-8080} of this machine is taken; HOTEL_PORT names another one, and each run of the plan picks a free one"
    fi
    exit "$code"
    ;;
esac

#!/bin/sh
# Docker Compose with the staging file, by whichever of its two programs there is:  compose.sh --profile pms up -d
#
# HOTEL_PORT is the port of this machine that the service is published on. Says which program it uses.
# Exit code: that of Compose; 2 there is no Compose or no Docker Engine that answers.
set -eu
cd "$(dirname "$0")/.."

say() { echo "compose.sh: $*" >&2; }
command -v docker >/dev/null 2>&1 || { say "this machine lacks docker; Debian: sudo apt-get install -y docker.io docker-compose"; exit 2; }
if ! why=$(docker version --format '{{.Server.Version}}' 2>&1); then
    say "the Docker Engine does not answer: $why"
    say "start it (sudo systemctl start docker, or dockerd as root), and see that you may use it (group docker)"
    exit 2
fi
if docker compose version >/dev/null 2>&1; then
    set -- docker compose -f docker-compose.staging.yml "$@"
elif command -v docker-compose >/dev/null 2>&1; then
    set -- docker-compose -f docker-compose.staging.yml "$@"
else
    say "this machine lacks Docker Compose; Debian: sudo apt-get install -y docker-compose"
    exit 2
fi
echo "compose.sh: engine $why: $*"
exec "$@"

#!/bin/sh
# Smoke test of a running service. Needs a POSIX shell and python3, nothing else.
#
#   BASE_URL=http://127.0.0.1:8080 sh scripts/smoke_staging.sh
#
# One line per check on stdout. Exit code: 0 all passed, 1 a check failed, 2 wrong usage.
# It books a room and cancels it, so that it can be run again and again.
set -eu
exec 2>&1

: "${BASE_URL:=http://127.0.0.1:8080}"
: "${SMOKE_TIMEOUT_SECONDS:=5}"
PYTHON=${PYTHON:-python3}
export BASE_URL SMOKE_TIMEOUT_SECONDS

if ! command -v "$PYTHON" >/dev/null 2>&1; then
    echo "SMOKE ERROR: $PYTHON not found; set PYTHON to a Python 3.9 or newer"
    exit 2
fi

exec "$PYTHON" - <<'PYTHON_END'
import datetime
import json
import os
import sys
import urllib.error
import urllib.request
import uuid

BASE = os.environ["BASE_URL"].rstrip("/")
SESSION = "smoke-" + uuid.uuid4().hex[:12]
ARRIVAL = (datetime.date.today() + datetime.timedelta(days=90)).isoformat()

if not BASE.startswith(("http://", "https://")):
    print("SMOKE ERROR: BASE_URL must be an http:// or https:// address")
    sys.exit(2)
try:
    TIMEOUT = float(os.environ["SMOKE_TIMEOUT_SECONDS"])
except ValueError:
    print("SMOKE ERROR: SMOKE_TIMEOUT_SECONDS must be a number")
    sys.exit(2)


class Failed(Exception):
    pass


def ask(path, data=None):
    """(status, text, headers); a connection that can't be made is a failed check."""
    if data is not None and not isinstance(data, bytes):
        data = json.dumps(data).encode("utf-8")
    request = urllib.request.Request(BASE + path, data=data)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode("utf-8"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace"), error.headers
    except OSError as error:
        raise Failed("no answer from %s: %s" % (BASE, getattr(error, "reason", error)))


def expect(condition, message):
    if not condition:
        raise Failed(message)


def as_json(text):
    try:
        return json.loads(text)
    except ValueError:
        raise Failed("the answer isn't JSON: %.80r" % text)


def say(text, session=SESSION):
    status, body, _ = ask("/v1/messages", {"session": session, "text": text})
    expect(status == 200, "%r answered %d: %.200s" % (text, status, body.strip()))
    return as_json(body)


def live():
    status, body, _ = ask("/health/live")
    expect(status == 200, "status %d, expected 200" % status)
    return "version " + as_json(body)["version"]


def ready():
    status, body, _ = ask("/health/ready")
    expect(status == 200, "status %d: %s" % (status, "; ".join(as_json(body).get("reasons", []))))
    return "status 200"


def conversation():
    expect(say("hello")["outcome"] == "ok", "the greeting was not understood")
    wish = "a double room on %s for 2 nights" % ARRIVAL
    found = say("is there availability: " + wish)
    expect(found["outcome"] == "ok", "availability: " + found["outcome"])
    booked = say("book it")
    expect(booked["outcome"] == "ok", "booking: " + booked["outcome"])
    number = booked["data"]["reservation"]
    cancelled = say("cancel " + number)
    expect(cancelled["outcome"] == "ok", "cancelling %s: %s" % (number, cancelled["outcome"]))
    return "greeted, found, booked and cancelled %s" % number


def spanish():
    answer = say("hola, quiero reservar una habitación doble", SESSION + "-es")
    expect(answer["language"] == "es", "answered in " + answer["language"])
    expect(answer["outcome"] == "need_details", "outcome " + answer["outcome"])
    return answer["reply"]


def error_path():
    status, body, _ = ask("/v1/messages", b"this is not JSON")
    expect(status == 400, "invalid JSON answered %d, expected 400" % status)
    code = as_json(body)["error"]["code"]
    expect(code == "invalid_json", "error code %r" % code)
    status, body, _ = ask("/no/such/address")
    expect(status == 404, "an unknown address answered %d, expected 404" % status)
    expect(as_json(body)["error"]["code"] == "not_found", "404 without its error code")
    return "400 invalid_json, 404 not_found"


def metrics():
    status, body, headers = ask("/metrics")
    expect(status == 200, "status %d, expected 200" % status)
    kind = headers.get("Content-Type", "")
    expect(kind.startswith("text/plain"), "content type %r" % kind)
    series = [line for line in body.splitlines() if not line.startswith("#")]
    for wanted in (
        'hotel_http_requests_total{route="/v1/messages",method="POST",status="200"}',
        'hotel_http_requests_total{route="/v1/messages",method="POST",status="400"}',
        'hotel_http_request_duration_seconds_bucket{route="/v1/messages"',
        'hotel_circuit_breaker_state{name="pms",state="closed"} 1',
        "hotel_sessions_active",
    ):
        expect(any(line.startswith(wanted) for line in series), "no series %s" % wanted)
    return "%d series" % len(series)


CHECKS = (
    ("live", live),
    ("ready", ready),
    ("booking conversation", conversation),
    ("spanish", spanish),
    ("error path", error_path),
    ("metrics", metrics),
)

print("Smoke test of %s" % BASE)
failures = []
for name, check in CHECKS:
    try:
        print("PASS  %-22s %s" % (name, check()), flush=True)
    except (Failed, KeyError) as problem:
        failures.append(name)
        print("FAIL  %-22s %s" % (name, problem), flush=True)
if failures:
    print("SMOKE FAILED: %d of %d checks: %s" % (len(failures), len(CHECKS), ", ".join(failures)))
    sys.exit(1)
print("SMOKE PASSED: %d checks" % len(CHECKS))
PYTHON_END

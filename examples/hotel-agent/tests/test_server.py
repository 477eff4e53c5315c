"""End to end over HTTP: the real service and the real in-memory PMS on free ports."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import server as service
from app.config import Secret, load_config
from app.pms import HotelBook, PmsServer
from app.server import Application, HotelServer

ROOT = Path(__file__).resolve().parent.parent
KEY = "key-for-tests"
BOOKING = "book a suite on 2030-05-01 for 2 nights"


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.drain(within=5)
        thread.join(timeout=5)


@pytest.fixture
def pms_port():
    with running(PmsServer(("127.0.0.1", 0), HotelBook(1), Secret(KEY))) as port:
        yield port


@pytest.fixture
def start(pms_port, clock):
    """Start the service with some settings; gives a function that makes requests."""
    with _started_services(pms_port, clock) as start_one:
        yield start_one


@contextmanager
def _started_services(pms_port, clock):
    open_contexts = []

    def start_one(**env):
        settings = {
            "PMS_BASE_URL": f"http://127.0.0.1:{pms_port}",
            "PMS_API_KEY": KEY,
            "SESSION_SECRET": "secret-for-tests",
            **env,
        }
        application = Application(load_config(settings), clock=clock)
        server = HotelServer(("127.0.0.1", 0), application)
        context = running(server)
        port = context.__enter__()
        open_contexts.append(context)

        def ask(method, path, body=None, headers=None):
            answer = request(port, method, path, body, headers)
            assert server.wait_idle(within=5), "the request's log line is written"
            return answer

        ask.port, ask.application = port, application
        return ask

    try:
        yield start_one
    finally:
        for context in open_contexts:
            context.__exit__(None, None, None)


def request(port, method, path, body=None, headers=None):
    if isinstance(body, dict):
        body = json.dumps(body)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode("utf-8")
    finally:
        connection.close()
    is_json = response.getheader("Content-Type", "").startswith("application/json")
    return response.status, json.loads(text) if is_json and text else text, response.headers


def say(ask, text, session="ana"):
    return ask("POST", "/v1/messages", {"session": session, "text": text})


def test_server_live_and_ready(start):
    ask = start()
    assert ask("GET", "/health/live")[1]["status"] == "live"
    status, document, _ = ask("GET", "/health/ready")
    assert (status, document["status"], document["checks"]["pms"]) == (200, "ready", "ok")


def test_server_books_and_cancels(start):
    ask = start()
    status, booked, _ = say(ask, BOOKING)
    assert (status, booked["outcome"], booked["data"]["room"]) == (200, "ok", "301")
    assert say(ask, BOOKING, "luis")[1]["outcome"] == "sold_out"
    assert say(ask, "cancel it")[1]["outcome"] == "ok"
    assert say(ask, BOOKING, "luis")[1]["outcome"] == "ok"


def test_server_is_not_ready_without_its_pms(start, clock):
    ask = start(PMS_BASE_URL="http://127.0.0.1:9", BREAKER_FAILURES="1")
    status, document, _ = ask("GET", "/health/ready")
    assert status == 503
    assert document["reasons"][0].startswith("pms: ")

    status, document, headers = say(ask, BOOKING)
    assert (status, document["error"]["code"]) == (503, "pms_unavailable")
    assert headers["Retry-After"] == "1"
    assert "pms: the circuit breaker is open" in ask("GET", "/health/ready")[1]["reasons"]
    assert 'hotel_circuit_breaker_state{name="pms",state="open"} 1' in ask("GET", "/metrics")[1]


def test_server_ready_delay(start, clock):
    ask = start(HOTEL_READY_DELAY_MS="1500")
    assert ask("GET", "/health/ready")[1]["reasons"] == ["the service is warming up"]
    clock.advance(1.5)
    assert ask("GET", "/health/ready")[0] == 200


def test_server_ready_flap(start):
    ask = start(HOTEL_READY_FLAP="200,503,200")
    assert [ask("GET", "/health/ready")[0] for _ in range(5)] == [200, 503, 200, 200, 200]


def test_server_error_rate_is_evenly_spread(start):
    ask = start(HOTEL_ERROR_RATE="0.25")
    statuses = [say(ask, "hello")[0] for _ in range(8)]
    assert statuses == [200, 200, 200, 500] * 2


def test_server_extra_latency(start, monkeypatch):
    naps = []
    monkeypatch.setattr(service.time, "sleep", naps.append)
    say(start(HOTEL_EXTRA_LATENCY_MS="30"), "hello")
    assert naps == [0.03]


def test_server_wrong_pms_key_is_a_bad_gateway(start):
    status, document, _ = say(start(PMS_API_KEY="another"), BOOKING)
    assert (status, document["error"]["code"]) == (502, "pms_rejected")


def test_server_metrics(start):
    ask = start()
    say(ask, "hello")
    ask("GET", "/nowhere")
    status, text, headers = ask("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in (
        'hotel_http_requests_total{route="/v1/messages",method="POST",status="200"} 1',
        'hotel_http_requests_total{route="unmatched",method="GET",status="404"} 1',
        'hotel_http_request_duration_seconds_count{route="/v1/messages"} 1',
        'hotel_circuit_breaker_state{name="pms",state="closed"} 1',
        "hotel_sessions_active 1",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    "method, path, body, headers, status, code",
    [
        ("GET", "/nowhere", None, {}, 404, "not_found"),
        ("GET", "/v1/messages", None, {}, 405, "method_not_allowed"),
        ("POST", "/health/live", "{}", {}, 405, "method_not_allowed"),
        ("POST", "/v1/messages", "{", {}, 400, "invalid_json"),
        ("POST", "/v1/messages", "[]", {}, 400, "invalid_json"),
        ("POST", "/v1/messages", b"\xff", {}, 400, "invalid_json"),
        ("POST", "/v1/messages", "{}", {}, 400, "invalid_session"),
        ("POST", "/v1/messages", '{"session": "ana"}', {}, 400, "invalid_text"),
        ("POST", "/v1/messages", "x" * 20000, {}, 413, "too_large"),
        ("POST", "/v1/messages", "{}", {"Content-Length": "two"}, 400, "bad_length"),
        ("POST", "/v1/messages", iter([b"{}"]), {}, 411, "length_required"),
    ],
)
def test_server_errors_are_json(start, method, path, body, headers, status, code):
    got, document, _ = start()(method, path, body, headers)
    assert (got, document["error"]["code"]) == (status, code)
    assert document["request_id"]


def test_server_answers_garbage_with_json(start):
    with socket.create_connection(("127.0.0.1", start().port), timeout=5) as raw:
        raw.sendall(b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = raw.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 501")
    assert json.loads(body)["error"]["code"] == "bad_request"


def test_server_hides_internal_errors(start, capfd):
    ask = start()
    ask.application.orchestrator.handle = None  # calling it is a TypeError
    status, document, _ = say(ask, "hello")
    assert (status, document["error"]["code"]) == (500, "internal")
    assert "TypeError" not in document["error"]["message"]


def test_server_head_and_request_id(start):
    status, body, headers = start()("HEAD", "/health/live", headers={"X-Request-Id": "abc-1"})
    assert (status, body, headers["X-Request-Id"]) == (200, "", "abc-1")
    assert headers["Server"] == "hotel-agent"


def test_server_logs_one_line_per_request_without_secrets(start, capfd):
    ask = start()
    say(ask, BOOKING, session="guest-session-id")
    ask("GET", "/nowhere?token=hidden")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    ours = [line for line in lines if line["route"] in ("/v1/messages", "unmatched")]
    assert [(line["route"], line["status"]) for line in ours] == [
        ("/v1/messages", 200),
        ("unmatched", 404),
    ]
    assert (ours[0]["intent"], ours[0]["outcome"]) == ("book", "ok")
    logged = json.dumps(lines)
    for hidden in (KEY, "secret-for-tests", "guest-session-id", "hidden", BOOKING):
        assert hidden not in logged


def test_pms_rules(pms_port):
    def ask(method, path, body=None, key=KEY):
        status, document, _ = request(pms_port, method, path, body, {"X-Api-Key": key})
        return status, document.get("error", {}).get("code") or document

    assert ask("GET", "/health", key="")[0] == 200
    assert ask("GET", "/rooms", key="wrong") == (401, "unauthorized")
    assert [room["id"] for room in ask("GET", "/rooms")[1]["rooms"]] == ["101", "201", "301"]

    stay = {"room": "101", "from": "2030-05-01", "nights": 2}
    assert ask("POST", "/reservations", stay)[0] == 201
    assert ask("POST", "/reservations", {**stay, "from": "2030-05-02"}) == (409, "room_taken")
    assert ask("POST", "/reservations", {**stay, "from": "2030-05-03"})[0] == 201
    assert ask("POST", "/reservations", {**stay, "room": "999"}) == (404, "no_such_room")
    assert ask("POST", "/reservations", {**stay, "nights": "x"}) == (400, "bad_nights")
    assert ask("POST", "/reservations", {**stay, "from": 5}) == (400, "bad_date")
    assert ask("GET", "/availability?type=cave") == (400, "bad_type")
    assert ask("DELETE", "/reservations/R-000001")[0] == 200
    assert ask("DELETE", "/reservations/R-000001") == (404, "no_such_reservation")
    assert ask("GET", "/nowhere") == (404, "not_found")


def test_process_stops_cleanly_on_sigterm():
    env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "--port", "0"],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        listening = json.loads(process.stderr.readline())
        assert listening["event"] == "listening"
        assert request(listening["port"], "GET", "/health/live")[0] == 200
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in rest.splitlines()]
    assert [event for event in events if event != "request"] == ["stopping", "stopped"]


def test_process_refuses_placeholders_without_showing_them(capfd, monkeypatch, tmp_path):
    path = tmp_path / "env"
    path.write_text("APP_ENV=staging\nPMS_API_KEY=real-key\nSESSION_SECRET=change-me\n", "utf-8")
    for name in ("APP_ENV", "PMS_API_KEY", "SESSION_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert service.main(["--env-file", str(path), "--port", "0"]) == 2
    error = capfd.readouterr().err
    assert "SESSION_SECRET: still holds the placeholder" in error
    assert "real-key" not in error

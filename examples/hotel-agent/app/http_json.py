"""What the two HTTP processes share: routing, JSON bodies, JSON errors, request logs."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

MAX_BODY = 16 * 1024
UNMATCHED = "unmatched"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_log_guard = threading.Lock()


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpError(Exception):
    def __init__(
        self, status: int, code: str, message: str, headers: Optional[Mapping[str, str]] = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def json_response(
    status: int, document: Any, headers: Optional[Mapping[str, str]] = None
) -> Response:
    body = json.dumps(document, ensure_ascii=False).encode("utf-8") + b"\n"
    return Response(status, body, headers=dict(headers or {}))


def log(event: str, **fields: Any) -> None:
    """One JSON object per line on stderr."""
    line = json.dumps({"ts": round(time.time(), 3), "event": event, **fields}) + "\n"
    with _log_guard:
        sys.stderr.write(line)
        sys.stderr.flush()


class JsonServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: Tuple[str, int], handler: type) -> None:
        self._idle = threading.Condition()
        self._in_flight = 0
        self.draining = False
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer looks the host name up here, which can take seconds without a resolver.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: Any, client_address: Any) -> None:
        log("connection_error", error=type(sys.exc_info()[1]).__name__)

    def in_flight(self) -> int:
        with self._idle:
            return self._in_flight

    def enter(self) -> None:
        with self._idle:
            self._in_flight += 1

    def leave(self) -> None:
        with self._idle:
            self._in_flight -= 1
            self._idle.notify_all()

    def wait_idle(self, within: float) -> bool:
        """Wait for the running requests, their log lines included."""
        with self._idle:
            return self._idle.wait_for(lambda: self._in_flight == 0, timeout=within)

    def drain(self, within: float) -> bool:
        """Stop accepting, let running requests end; ``False`` when some did not in time."""
        self.draining = True
        self.shutdown()
        finished = self.wait_idle(within)
        self.server_close()
        return finished


#: A route's handlers by method, e.g. ``{"GET": handler.live}``.
Methods = Mapping[str, Callable[[], Response]]


class JsonHandler(BaseHTTPRequestHandler):
    """Subclasses say what there is (:meth:`resolve`) and what to note (:meth:`observe`)."""

    protocol_version = "HTTP/1.1"
    server_version = "hotel-agent"
    sys_version = ""
    timeout = 15
    wbufsize = -1
    disable_nagle_algorithm = True

    def resolve(self, path: str) -> Optional[Tuple[str, Methods]]:
        """The route's label and its methods, or ``None``."""
        raise NotImplementedError

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Called just before the answer is written, so that a client can rely on it."""

    def serve(self) -> None:
        self.server.enter()
        try:
            self._serve()
        finally:
            self.server.leave()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def read_json(self) -> Dict[str, Any]:
        if self.headers.get("Transfer-Encoding"):
            raise HttpError(411, "length_required", "send the body with a Content-Length")
        raw_length = self.headers.get("Content-Length")
        if raw_length is None:
            raise HttpError(411, "length_required", "send the body with a Content-Length")
        if not (raw_length.isascii() and raw_length.isdigit()):
            raise HttpError(400, "bad_length", "Content-Length must be a whole number")
        length = int(raw_length)
        if length > MAX_BODY:
            raise HttpError(413, "too_large", f"the body may have at most {MAX_BODY} bytes")
        raw = self.rfile.read(length)
        self._unread_body = False
        try:
            document = json.loads(raw)
        except ValueError:
            raise HttpError(400, "invalid_json", "the body isn't valid JSON") from None
        if not isinstance(document, dict):
            raise HttpError(400, "invalid_json", "the body must be a JSON object")
        return document

    def _serve(self) -> None:
        started = time.perf_counter()
        given = self.headers.get("X-Request-Id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self._unread_body = (
            self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        )
        self.log_fields: Dict[str, Any] = {}
        route, response = self._answer()
        self.observe(route, response.status, time.perf_counter() - started)
        self._send(response)
        log(
            "request",
            request_id=self.request_id,
            method=self.command,
            route=route,
            status=response.status,
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
            **self.log_fields,
        )

    def _answer(self) -> Tuple[str, Response]:
        route = UNMATCHED
        try:
            found = self.resolve(urlsplit(self.path).path)
            if found is None:
                raise HttpError(404, "not_found", "there is nothing at this address")
            route, methods = found
            action = methods.get("GET" if self.command == "HEAD" else self.command)
            if action is None:
                allowed = ", ".join(sorted(methods))
                raise HttpError(
                    405, "method_not_allowed", f"use {allowed}", headers={"Allow": allowed}
                )
            return route, action()
        except HttpError as error:
            return route, self._error(error.status, error.code, str(error), error.headers)
        except Exception as error:  # the last line of defence: a bug must not drop the connection
            self.log_fields["error"] = type(error).__name__
            return route, self._error(500, "internal", "something went wrong on our side", {})

    def _error(
        self, status: int, code: str, message: str, headers: Mapping[str, str]
    ) -> Response:
        document = {"error": {"code": code, "message": message}, "request_id": self.request_id}
        return json_response(status, document, headers)

    def _send(self, response: Response) -> None:
        if self._unread_body or self.server.draining:
            self.close_connection = True
        try:
            self.send_response_only(response.status)
            self.send_header("Server", self.server_version)
            self.send_header("Date", self.date_time_string())
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("X-Request-Id", self.request_id)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
            self.wfile.flush()
            if self._unread_body:
                self._linger()
        except OSError as error:  # the client left
            self.close_connection = True
            self.log_fields["error"] = type(error).__name__

    def _linger(self) -> None:
        """Take in the rest of a refused body: closing on it could destroy the answer in flight."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        for _ in range(64):
            if not self.connection.recv(MAX_BODY):
                break

    def send_error(self, code, message=None, explain=None) -> None:
        """Called by the base class for what isn't HTTP at all; answered in JSON too."""
        self.close_connection = True
        self.request_id = uuid.uuid4().hex
        self._unread_body = False
        self.log_fields = {}
        self.command = self.command or ""
        self.observe(UNMATCHED, int(code), 0.0)
        self._send(self._error(int(code), "bad_request", "the request can't be understood", {}))
        log("request", request_id=self.request_id, route=UNMATCHED, status=int(code))

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: one structured line per request is written instead."""

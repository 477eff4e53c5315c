"""The guest-facing HTTP service."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from fractions import Fraction
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from app import __version__, metrics, nlp
from app.config import Config, ConfigError, environment, load_config
from app.http_json import (
    HttpError,
    JsonHandler,
    JsonServer,
    Methods,
    Response,
    json_response,
    log,
)
from app.lock_service import LockService
from app.orchestrator import Orchestrator, OrchestratorError
from app.pms_adapter import (
    OPEN,
    STATES,
    CircuitBreaker,
    HttpTransport,
    PmsAdapter,
    PmsError,
    Transport,
)
from app.process import serve_until_signal
from app.session_manager import SessionManager


class ErrorInjector:
    """Fails a fixed share of calls, evenly spread: a rate of 1/4 fails every fourth."""

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._guard = threading.Lock()
        self._calls = 0

    def should_fail(self) -> bool:
        with self._guard:
            before = self._calls * self._rate // 1
            self._calls += 1
            return self._calls * self._rate // 1 > before


class Readiness:
    def __init__(
        self,
        pms: PmsAdapter,
        engine: str,
        flap: Tuple[int, ...] = (),
        delay_ms: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pms, self._engine, self._clock = pms, engine, clock
        self._ready_at = clock() + delay_ms / 1000
        self._guard = threading.Lock()
        self._scripted: Deque[int] = deque(flap)

    def check(self, draining: bool = False) -> Tuple[int, Dict[str, Any]]:
        with self._guard:
            scripted = self._scripted.popleft() if self._scripted else None
        if scripted is not None:
            if scripted < 400:
                return scripted, {"status": "ready", "checks": {}}
            return scripted, {"status": "not_ready", "reasons": ["answer set by HOTEL_READY_FLAP"]}
        reasons: List[str] = []
        if draining:
            reasons.append("the service is stopping")
        if self._clock() < self._ready_at:
            reasons.append("the service is warming up")
        try:
            self._pms.ping()
        except PmsError as error:
            reasons.append(f"pms: {error}")
        breaker = self._pms.breaker.state
        if breaker == OPEN:
            reasons.append("pms: the circuit breaker is open")
        if reasons:
            return 503, {"status": "not_ready", "reasons": reasons}
        checks = {"pms": "ok", "circuit_breaker": breaker, "nlp": self._engine}
        return 200, {"status": "ready", "checks": checks}


class Application:
    """Everything behind the HTTP surface, wired together."""

    def __init__(
        self,
        config: Config,
        transport: Optional[Transport] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        engine = nlp.build_engine(config.spacy_model)
        self.sessions = SessionManager(config.session_ttl_seconds, clock)
        breaker = CircuitBreaker(config.breaker_failures, config.breaker_reset_seconds, clock)
        self.pms = PmsAdapter(
            transport
            or HttpTransport(config.pms_base_url, config.pms_api_key, config.pms_timeout_seconds),
            breaker,
        )
        self.orchestrator = Orchestrator(
            self.sessions, LockService(config.lock_ttl_seconds, clock), self.pms, engine.parse
        )
        self.readiness = Readiness(
            self.pms, engine.name, config.ready_flap, config.ready_delay_ms, clock
        )
        self.errors = ErrorInjector(config.error_rate)
        self.engine_name = engine.name
        self._log_key = (config.session_secret.reveal() or secrets.token_hex(16)).encode("utf-8")

        self.registry = metrics.Registry()
        self.requests = self.registry.add(
            metrics.Counter(
                "hotel_http_requests_total",
                "HTTP requests answered.",
                ("route", "method", "status"),
            )
        )
        self.latency = self.registry.add(
            metrics.Histogram(
                "hotel_http_request_duration_seconds",
                "Time from the request line to the answer.",
                ("route",),
            )
        )
        self.registry.add(
            metrics.Gauge(
                "hotel_circuit_breaker_state",
                "1 for the state that the circuit breaker is in, 0 for the others.",
                self._breaker_series,
            )
        )
        self.registry.add(
            metrics.Gauge(
                "hotel_sessions_active",
                "Conversations that have not expired.",
                lambda: [({}, self.sessions.active())],
            )
        )
        self.registry.add(
            metrics.Gauge(
                "hotel_build_info",
                "Always 1; the labels tell what is running.",
                lambda: [({"version": __version__, "nlp_engine": self.engine_name}, 1)],
            )
        )

    def pseudonym(self, session_id: str) -> str:
        """A keyed digest: lets one follow a conversation in the logs, not take it over."""
        digest = hmac.new(self._log_key, session_id.encode("utf-8"), hashlib.sha256)
        return digest.hexdigest()[:12]

    def _breaker_series(self):
        current = self.pms.breaker.state
        return [({"name": "pms", "state": state}, int(state == current)) for state in STATES]


class HotelServer(JsonServer):
    def __init__(self, address: Tuple[str, int], application: Application) -> None:
        self.application = application
        super().__init__(address, HotelHandler)


class HotelHandler(JsonHandler):
    server: HotelServer

    def resolve(self, path: str) -> Optional[Tuple[str, Methods]]:
        routes: Dict[str, Methods] = {
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
            "/v1/messages": {"POST": self._message},
        }
        return (path, routes[path]) if path in routes else None

    def observe(self, route: str, status: int, seconds: float) -> None:
        application = self.server.application
        application.requests.inc(route, self._known_method(), str(status))
        application.latency.observe(seconds, route)

    def _known_method(self) -> str:
        """The method as a label: what a client invents must not become new series."""
        known = self.command and hasattr(JsonHandler, f"do_{self.command}")
        return self.command if known else "other"

    def _live(self) -> Response:
        return json_response(200, {"status": "live", "version": __version__})

    def _ready(self) -> Response:
        status, document = self.server.application.readiness.check(self.server.draining)
        return json_response(status, document)

    def _metrics(self) -> Response:
        body = self.server.application.registry.render().encode("utf-8")
        return Response(200, body, metrics.CONTENT_TYPE)

    def _message(self) -> Response:
        application = self.server.application
        body = self.read_json()
        if application.config.extra_latency_ms:
            time.sleep(application.config.extra_latency_ms / 1000)
        if application.errors.should_fail():
            raise HttpError(500, "injected_error", "error set by HOTEL_ERROR_RATE")
        session = body.get("session")
        if isinstance(session, str):
            self.log_fields["session"] = application.pseudonym(session)
        try:
            reply = application.orchestrator.handle(session, body.get("text"))
        except OrchestratorError as error:
            wait = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
            raise HttpError(error.status, error.code, str(error), wait) from error
        self.log_fields.update(intent=reply.intent, outcome=reply.outcome)
        return json_response(
            200,
            {
                "session": session,
                "intent": reply.intent,
                "outcome": reply.outcome,
                "language": reply.language,
                "reply": reply.text,
                "data": reply.data,
                "request_id": self.request_id,
            },
        )


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: HOST, or 127.0.0.1)")
    parser.add_argument("--port", help="port, 0 for any free one (default: PORT, or 8080)")
    parser.add_argument("--env-file", default="", help="KEY=value lines; the environment wins")
    args = parser.parse_args(argv)
    try:
        env = environment(args.env_file)
        env.update({k: v for k, v in (("HOST", args.host), ("PORT", args.port)) if v is not None})
        config = load_config(env)
    except (OSError, ConfigError) as error:
        log("config_error", message=str(error))
        return 2
    application = Application(config)
    return serve_until_signal(
        "hotel-agent",
        lambda: HotelServer((config.host, config.port), application),
        env=config.app_env,
        nlp_engine=application.engine_name,
    )

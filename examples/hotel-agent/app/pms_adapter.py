"""Client of the property management system, behind a circuit breaker.

Only trouble of the PMS itself (no connection, a timeout, a 5xx, an answer that isn't
JSON) counts against the breaker. A room that is taken or a reservation that doesn't
exist is an answer, and proof that the PMS works.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from app.config import Secret

T = TypeVar("T")

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
STATES = (CLOSED, OPEN, HALF_OPEN)


class PmsError(Exception):
    """Base of everything that this module raises."""


class PmsUnavailable(PmsError):
    """The PMS did not give a usable answer."""


class CircuitOpen(PmsUnavailable):
    """The call was not tried because the breaker is open."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"circuit open, retry in {retry_after:.1f}s")
        self.retry_after = retry_after


class PmsRejected(PmsError):
    """The PMS understood the request and refused it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"PMS refused with {status} ({code})")
        self.status = status
        self.code = code


class CircuitBreaker:
    """closed --failures--> open --reset_after--> half-open --one probe--> closed or open."""

    def __init__(
        self,
        failures: int = 3,
        reset_after: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1 or reset_after <= 0:
            raise ValueError("failures must be at least 1 and reset_after greater than 0")
        self._threshold = failures
        self._reset_after = reset_after
        self._clock = clock
        self._guard = threading.Lock()
        self._failures = 0
        self._opened_at: Optional[float] = None
        self._probing = False

    @property
    def state(self) -> str:
        with self._guard:
            return self._state()

    def call(self, action: Callable[[], T]) -> T:
        """Run ``action`` when the state allows it and learn from its result."""
        probe = self._enter()
        try:
            result = action()
        except PmsRejected:
            self._succeeded(probe)
            raise
        except Exception:
            self._failed(probe)
            raise
        except BaseException:  # interrupted: says nothing about the PMS, but frees the probe
            self._abandoned(probe)
            raise
        self._succeeded(probe)
        return result

    def _state(self) -> str:
        if self._opened_at is None:
            return CLOSED
        if self._clock() - self._opened_at < self._reset_after:
            return OPEN
        return HALF_OPEN

    def _enter(self) -> bool:
        """Whether the call is the probe; raises when it may not be made."""
        with self._guard:
            state = self._state()
            if state == CLOSED:
                return False
            if state == OPEN:
                waited = self._clock() - (self._opened_at or 0.0)
                raise CircuitOpen(self._reset_after - waited)
            if self._probing:
                raise CircuitOpen(self._reset_after)
            self._probing = True
            return True

    def _succeeded(self, probe: bool) -> None:
        with self._guard:
            if probe:
                self._probing = False
                self._opened_at = None
            # A slow call from before the breaker opened has no say in closing it.
            if self._opened_at is None:
                self._failures = 0

    def _failed(self, probe: bool) -> None:
        with self._guard:
            if probe:
                self._probing = False
                self._opened_at = self._clock()
            elif self._opened_at is None:
                self._failures += 1
                if self._failures >= self._threshold:
                    self._opened_at = self._clock()

    def _abandoned(self, probe: bool) -> None:
        with self._guard:
            if probe:
                self._probing = False


#: ``transport(method, path, body) -> (status, decoded JSON object)``
Transport = Callable[[str, str, Optional[Dict[str, Any]]], Tuple[int, Dict[str, Any]]]


class HttpTransport:
    """One short HTTP exchange per call."""

    def __init__(self, base_url: str, api_key: Secret, timeout: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an http:// or https:// address")
        self._connection = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout

    def __call__(
        self, method: str, path: str, body: Optional[Dict[str, Any]] = None
    ) -> Tuple[int, Dict[str, Any]]:
        headers = {"Accept": "application/json"}
        if self._api_key:
            headers["X-Api-Key"] = self._api_key.reveal()
        payload = None
        if body is not None:
            payload = json.dumps(body).encode("utf-8")
            headers["Content-Type"] = "application/json"
        connection = self._connection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, self._prefix + path, body=payload, headers=headers)
            response = connection.getresponse()
            document = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PmsUnavailable(f"{method} failed: {type(error).__name__}") from error
        finally:
            connection.close()
        if not isinstance(document, dict):
            raise PmsUnavailable(f"{method} answered something that isn't a JSON object")
        return response.status, document


@dataclass(frozen=True)
class Room:
    id: str
    type: str
    price: int


class PmsAdapter:
    def __init__(self, transport: Transport, breaker: CircuitBreaker) -> None:
        self._transport = transport
        self.breaker = breaker

    def ping(self) -> None:
        """For readiness: asks the PMS itself, so that it sees the end of an outage first."""
        self._exchange("GET", "/health", None)

    def available_rooms(self, room_type: str, date: str, nights: int) -> List[Room]:
        query = urlencode({"type": room_type, "from": date, "nights": nights})
        return self._call("GET", f"/availability?{query}", parse=_rooms)

    def reserve(self, room_id: str, date: str, nights: int) -> str:
        """The id of the new reservation."""
        body = {"room": room_id, "from": date, "nights": nights}
        return self._call("POST", "/reservations", body, parse=_reservation_id)

    def cancel(self, reservation_id: str) -> None:
        path = f"/reservations/{quote(reservation_id, safe='')}"
        self._call("DELETE", path, parse=lambda document: None)

    def _call(
        self,
        method: str,
        path: str,
        body: Optional[Dict[str, Any]] = None,
        *,
        parse: Callable[[Dict[str, Any]], T],
    ) -> T:
        # Parsed inside the breaker: an answer of the wrong shape is trouble of the PMS too.
        return self.breaker.call(lambda: parse(self._exchange(method, path, body)))

    def _exchange(
        self, method: str, path: str, body: Optional[Dict[str, Any]]
    ) -> Dict[str, Any]:
        status, document = self._transport(method, path, body)
        if status >= 500:
            raise PmsUnavailable(f"PMS answered {status}")
        if status >= 400:
            error = document.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            raise PmsRejected(status, code if isinstance(code, str) else "unknown")
        return document


def _rooms(document: Dict[str, Any]) -> List[Room]:
    try:
        return [Room(str(r["id"]), str(r["type"]), int(r["price"])) for r in document["rooms"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PmsUnavailable("availability answer has an unexpected shape") from error


def _reservation_id(document: Dict[str, Any]) -> str:
    reservation = document.get("id")
    if not isinstance(reservation, str):
        raise PmsUnavailable("reservation answer has an unexpected shape")
    return reservation

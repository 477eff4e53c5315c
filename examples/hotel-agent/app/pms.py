"""A property management system in memory: ``python -m app.pms --port 8090``.

It stands in for the hotel's real PMS in development and staging and keeps its rules:
a room can't be sold twice for the same night.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hmac
import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from app.config import ConfigError, Secret, at_least_one, environment, not_negative
from app.http_json import HttpError, JsonHandler, JsonServer, Methods, Response, json_response
from app.process import serve_until_signal

PRICES = {"single": 80, "double": 120, "suite": 240}
MAX_NIGHTS = 30


@dataclass(frozen=True)
class Stay:
    id: str
    room: str
    first: dt.date
    nights: int

    @property
    def end(self) -> dt.date:
        return self.first + dt.timedelta(days=self.nights)

    def overlaps(self, other: "Stay") -> bool:
        return self.room == other.room and self.first < other.end and other.first < self.end


class HotelBook:
    """Rooms and who sleeps in them."""

    def __init__(self, rooms_per_type: int = 4) -> None:
        self._guard = threading.Lock()
        self._rooms: Dict[str, str] = {
            str(100 * floor + number): kind
            for floor, kind in enumerate(PRICES, start=1)
            for number in range(1, rooms_per_type + 1)
        }
        self._stays: Dict[str, Stay] = {}
        self._serial = 0

    def rooms(self) -> List[Dict[str, Any]]:
        return [self._describe(room) for room in self._rooms]

    def available(self, kind: str, first: dt.date, nights: int) -> List[Dict[str, Any]]:
        with self._guard:
            return [
                self._describe(room)
                for room, room_kind in self._rooms.items()
                if room_kind == kind and self._free(Stay("", room, first, nights))
            ]

    def reserve(self, room: str, first: dt.date, nights: int) -> Stay:
        if room not in self._rooms:
            raise HttpError(404, "no_such_room", "there is no room with this number")
        with self._guard:
            if not self._free(Stay("", room, first, nights)):
                raise HttpError(409, "room_taken", "the room is taken for some of these nights")
            self._serial += 1
            stay = Stay(f"R-{self._serial:06d}", room, first, nights)
            self._stays[stay.id] = stay
            return stay

    def cancel(self, reservation: str) -> None:
        with self._guard:
            if self._stays.pop(reservation, None) is None:
                raise HttpError(404, "no_such_reservation", "there is no such reservation")

    def _free(self, wish: Stay) -> bool:
        return not any(stay.overlaps(wish) for stay in self._stays.values())

    def _describe(self, room: str) -> Dict[str, Any]:
        kind = self._rooms[room]
        return {"id": room, "type": kind, "price": PRICES[kind]}


class PmsServer(JsonServer):
    def __init__(
        self, address: Tuple[str, int], book: HotelBook, api_key: Secret, latency_ms: float = 0
    ) -> None:
        self.book, self.api_key, self.latency_ms = book, api_key, latency_ms
        super().__init__(address, PmsHandler)


class PmsHandler(JsonHandler):
    server: PmsServer

    def resolve(self, path: str) -> Optional[Tuple[str, Methods]]:
        if path == "/health":
            return path, {"GET": lambda: json_response(200, {"status": "ok"})}
        self._authenticate()
        if path == "/rooms":
            return path, {"GET": lambda: json_response(200, {"rooms": self.server.book.rooms()})}
        if path == "/availability":
            return path, {"GET": self._availability}
        if path == "/reservations":
            return path, {"POST": self._reserve}
        head, _, reservation = path.rpartition("/")
        if head == "/reservations" and reservation:
            return "/reservations/{id}", {"DELETE": lambda: self._cancel(reservation)}
        return None

    def _authenticate(self) -> None:
        expected = self.server.api_key
        given = self.headers.get("X-Api-Key", "")
        if expected and not hmac.compare_digest(
            given.encode("utf-8"), expected.reveal().encode("utf-8")
        ):
            raise HttpError(401, "unauthorized", "the API key is missing or wrong")

    def _availability(self) -> Response:
        query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        kind = query.get("type")
        if kind not in PRICES:
            raise HttpError(400, "bad_type", f"type must be one of {', '.join(PRICES)}")
        self._work()
        rooms = self.server.book.available(kind, _date(query.get("from")), _nights(query))
        return json_response(200, {"rooms": rooms})

    def _reserve(self) -> Response:
        body = self.read_json()
        self._work()
        stay = self.server.book.reserve(
            str(body.get("room")), _date(body.get("from")), _nights(body)
        )
        document = {
            "id": stay.id,
            "room": stay.room,
            "from": stay.first.isoformat(),
            "nights": stay.nights,
        }
        return json_response(201, document)

    def _cancel(self, reservation: str) -> Response:
        self._work()
        self.server.book.cancel(reservation)
        return json_response(200, {"id": reservation, "status": "cancelled"})

    def _work(self) -> None:
        if self.server.latency_ms:
            time.sleep(self.server.latency_ms / 1000)


def _date(raw: Any) -> dt.date:
    try:
        return dt.date.fromisoformat(raw)
    except (TypeError, ValueError):
        raise HttpError(400, "bad_date", "from must be a date like 2030-01-31") from None


def _nights(fields: Mapping[str, Any]) -> int:
    try:
        nights = int(fields.get("nights", 0))
    except (TypeError, ValueError):
        nights = 0
    if not 1 <= nights <= MAX_NIGHTS:
        raise HttpError(400, "bad_nights", f"nights must be between 1 and {MAX_NIGHTS}")
    return nights


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.pms", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("PMS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PMS_PORT", "8090")))
    parser.add_argument("--env-file", default="", help="KEY=value lines; the environment wins")
    args = parser.parse_args(argv)
    try:
        env = environment(args.env_file)
        api_key = Secret(env.get("PMS_API_KEY", ""))
        latency_ms = not_negative(env.get("PMS_LATENCY_MS") or "0")
        book = HotelBook(at_least_one(env.get("PMS_ROOMS_PER_TYPE") or "4"))
    except (OSError, ConfigError, ValueError) as error:
        parser.error(str(error))
    return serve_until_signal(
        "pms", lambda: PmsServer((args.host, args.port), book, api_key, latency_ms)
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""Hand-written stand-ins: a clock that moves when told, a PMS that answers as scripted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple


class FakeClock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakePms:
    """A transport with real bookkeeping for a few rooms, which can be told to break."""

    def __init__(self, rooms: Tuple[str, ...] = ("201", "202")) -> None:
        self.free: List[str] = list(rooms)
        self.reservations: Dict[str, str] = {}
        self.calls: List[Tuple[str, str]] = []
        self.broken: Optional[Exception] = None
        self.answers: List[Tuple[int, Dict[str, Any]]] = []

    def __call__(
        self, method: str, path: str, body: Optional[Dict[str, Any]] = None
    ) -> Tuple[int, Dict[str, Any]]:
        self.calls.append((method, path))
        if self.broken is not None:
            raise self.broken
        if self.answers:
            return self.answers.pop(0)
        if path == "/health":
            return 200, {"status": "ok"}
        if path.startswith("/availability"):
            rooms = [{"id": room, "type": "double", "price": 120} for room in self.free]
            return 200, {"rooms": rooms}
        if method == "POST":
            room = body["room"]
            if room not in self.free:
                return 409, {"error": {"code": "room_taken"}}
            self.free.remove(room)
            reservation = f"R-{len(self.reservations) + 1:06d}"
            self.reservations[reservation] = room
            return 201, {"id": reservation}
        room = self.reservations.pop(path.rpartition("/")[2], None)
        if room is None:
            return 404, {"error": {"code": "no_such_reservation"}}
        self.free.append(room)
        return 200, {}

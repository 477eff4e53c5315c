"""One message in, one answer out: session, intent, lock, PMS, reply."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional

from app import nlp
from app.lock_service import LockService
from app.pms_adapter import CircuitOpen, PmsAdapter, PmsRejected, PmsUnavailable
from app.session_manager import Session, SessionManager, TooManySessions

MAX_TEXT = 1000
_SESSION_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DETAILS = ("room_type", "date", "nights")

_TEXTS: Dict[str, Dict[str, str]] = {
    "en": {
        "greet": "Welcome! I can check availability, book a room or cancel a booking.",
        "help": "Sorry, I didn't get that. I can check availability, book a room or cancel.",
        "missing": "I still need: {missing}.",
        "available": "Yes, {count} {room_type} rooms are free from {date} for {nights} nights.",
        "sold_out": "I'm sorry, there is no {room_type} room free from {date}.",
        "booked": "Done. Your reservation is {reservation}: room {room} from {date}, "
        "{nights} nights.",
        "cancelled": "Reservation {reservation} is cancelled.",
        "which": "Which reservation shall I cancel? Its number looks like R-000001.",
        "not_found": "I can't find reservation {reservation}.",
        "room_type": "room type (single, double or suite)",
        "date": "arrival date (YYYY-MM-DD)",
        "nights": "number of nights",
    },
    "es": {
        "greet": "¡Bienvenido! Puedo consultar disponibilidad, reservar o cancelar.",
        "help": "Perdón, no le he entendido. Puedo consultar disponibilidad, reservar o cancelar.",
        "missing": "Todavía necesito: {missing}.",
        "available": "Sí, quedan {count} habitaciones ({room_type}) desde el {date}, "
        "{nights} noches.",
        "sold_out": "Lo siento, no queda ninguna habitación ({room_type}) desde el {date}.",
        "booked": "Hecho. Su reserva es {reservation}: habitación {room} desde el {date}, "
        "{nights} noches.",
        "cancelled": "La reserva {reservation} queda cancelada.",
        "which": "¿Qué reserva cancelo? Su número es como R-000001.",
        "not_found": "No encuentro la reserva {reservation}.",
        "room_type": "tipo de habitación (individual, doble o suite)",
        "date": "fecha de llegada (AAAA-MM-DD)",
        "nights": "número de noches",
    },
}


@dataclass(frozen=True)
class Reply:
    intent: str
    outcome: str
    language: str
    text: str
    data: Dict[str, object] = field(default_factory=dict)


class OrchestratorError(Exception):
    """A message that can't be answered; carries what the HTTP layer needs to say so."""

    def __init__(
        self, status: int, code: str, message: str, retry_after: Optional[float] = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))


class Orchestrator:
    def __init__(
        self,
        sessions: SessionManager,
        locks: LockService,
        pms: PmsAdapter,
        parse: Callable[[str], nlp.Understanding] = nlp.parse,
    ) -> None:
        self._sessions = sessions
        self._locks = locks
        self._pms = pms
        self._parse = parse

    def handle(self, session_id: object, text: object) -> Reply:
        """Answer one message, or raise :class:`OrchestratorError`."""
        if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
            raise OrchestratorError(
                400, "invalid_session", "session must be 1 to 64 letters, digits, '_', '.' or '-'"
            )
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            raise OrchestratorError(
                400, "invalid_text", f"text must be a string of 1 to {MAX_TEXT} characters"
            )
        try:
            session = self._sessions.get_or_create(session_id)
        except TooManySessions as error:
            raise OrchestratorError(
                503, "too_many_sessions", "all lines are busy, try again", 30
            ) from error
        with session.lock:
            session.turns += 1
            try:
                return self._answer(session, self._parse(text))
            except CircuitOpen as error:
                raise OrchestratorError(
                    503,
                    "pms_unavailable",
                    "the reservation system is resting after failures",
                    error.retry_after,
                ) from error
            except PmsUnavailable as error:
                raise OrchestratorError(
                    503, "pms_unavailable", "the reservation system is not answering", 1
                ) from error
            except PmsRejected as error:
                raise OrchestratorError(
                    502, "pms_rejected", "the reservation system refused the request"
                ) from error

    def _answer(self, session: Session, heard: nlp.Understanding) -> Reply:
        language = session.language = heard.language or session.language
        intent = heard.intent
        if intent in (nlp.UNKNOWN, nlp.GREET) and session.pending_intent and heard.slots:
            intent = session.pending_intent  # the guest gives the details asked for
        if intent == nlp.GREET:
            return _reply(intent, "ok", language, "greet")
        if intent == nlp.CANCEL:
            return self._cancel(session, heard, language)
        if intent not in (nlp.CHECK, nlp.BOOK):
            return _reply(intent, "not_understood", language, "help")

        session.pending_intent = intent
        session.slots.update(heard.slots)
        missing = [name for name in _DETAILS if name not in session.slots]
        if missing:
            return self._ask(intent, language, missing)
        if intent == nlp.CHECK:
            return self._check(session, language)
        return self._book(session, language)

    @staticmethod
    def _ask(intent: str, language: str, missing: List[str]) -> Reply:
        names = ", ".join(_TEXTS[language][name] for name in missing)
        return _reply(intent, "need_details", language, "missing", missing=names)

    def _check(self, session: Session, language: str) -> Reply:
        details = _details(session)
        rooms = self._pms.available_rooms(**details)
        # The details stay: "book it" right after needs no repetition.
        session.pending_intent = None
        if not rooms:
            return _reply(nlp.CHECK, "sold_out", language, "sold_out", **details)
        return _reply(nlp.CHECK, "ok", language, "available", count=len(rooms), **details)

    def _book(self, session: Session, language: str) -> Reply:
        details = _details(session)
        rooms = self._pms.available_rooms(**details)
        contended = False
        for room in rooms:
            with self._locks.hold(f"room:{room.id}") as lock:
                if lock is None:
                    contended = True
                    continue
                try:
                    reservation = self._pms.reserve(room.id, details["date"], details["nights"])
                except PmsRejected as error:
                    if error.status != 409:
                        raise
                    continue  # sold elsewhere since we looked
            session.forget_request()
            session.last_reservation = reservation
            return _reply(
                nlp.BOOK,
                "ok",
                language,
                "booked",
                reservation=reservation,
                room=room.id,
                **details,
            )
        if contended:
            raise OrchestratorError(
                409, "room_busy", "somebody is booking the last rooms, try again", 1
            )
        session.pending_intent = None
        return _reply(nlp.BOOK, "sold_out", language, "sold_out", **details)

    def _cancel(self, session: Session, heard: nlp.Understanding, language: str) -> Reply:
        reservation = heard.slots.get("reservation") or session.last_reservation
        if not isinstance(reservation, str):
            session.pending_intent = nlp.CANCEL
            return _reply(nlp.CANCEL, "need_details", language, "which")
        try:
            self._pms.cancel(reservation)
        except PmsRejected as error:
            if error.status != 404:
                raise
            return _reply(
                nlp.CANCEL, "not_found", language, "not_found", reservation=reservation
            )
        session.forget_request()
        if session.last_reservation == reservation:
            session.last_reservation = None
        return _reply(nlp.CANCEL, "ok", language, "cancelled", reservation=reservation)


def _details(session: Session) -> Dict[str, object]:
    return {name: session.slots[name] for name in _DETAILS}


def _reply(intent: str, outcome: str, language: str, text: str, **data: object) -> Reply:
    return Reply(intent, outcome, language, _TEXTS[language][text].format(**data), data)

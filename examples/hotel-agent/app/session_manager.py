"""Conversations in memory, forgotten after a time without messages."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Dict, Optional


@dataclass
class Session:
    id: str
    expires_at: float
    language: str = "en"
    #: The intent that still waits for details, and the details given so far.
    pending_intent: Optional[str] = None
    slots: Dict[str, object] = field(default_factory=dict)
    last_reservation: Optional[str] = None
    turns: int = 0
    #: Serialises the messages of one guest; other guests are not held up.
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def forget_request(self) -> None:
        self.pending_intent = None
        self.slots = {}


class TooManySessions(Exception):
    """The session table is full of live sessions."""


class SessionManager:
    def __init__(
        self,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
        max_sessions: int = 10_000,
    ) -> None:
        if ttl <= 0:
            raise ValueError("ttl must be greater than 0")
        self._ttl = ttl
        self._clock = clock
        self._max = max_sessions
        self._guard = threading.Lock()
        self._sessions: Dict[str, Session] = {}

    def get_or_create(self, session_id: str) -> Session:
        """The live session with its lifetime restarted, or a new one."""
        with self._guard:
            now = self._clock()
            session = self._live(session_id, now)
            if session is None:
                if len(self._sessions) >= self._max and not self._purge(now):
                    raise TooManySessions(f"{self._max} sessions are active")
                session = Session(session_id, now + self._ttl)
                self._sessions[session_id] = session
            session.expires_at = now + self._ttl
            return session

    def get(self, session_id: str) -> Optional[Session]:
        """Look without extending the lifetime."""
        with self._guard:
            return self._live(session_id, self._clock())

    def end(self, session_id: str) -> bool:
        with self._guard:
            return self._sessions.pop(session_id, None) is not None

    def active(self) -> int:
        with self._guard:
            self._purge(self._clock())
            return len(self._sessions)

    def _live(self, session_id: str, now: float) -> Optional[Session]:
        session = self._sessions.get(session_id)
        if session is not None and session.expires_at <= now:
            del self._sessions[session_id]
            return None
        return session

    def _purge(self, now: float) -> int:
        expired = [key for key, value in self._sessions.items() if value.expires_at <= now]
        for key in expired:
            del self._sessions[key]
        return len(expired)

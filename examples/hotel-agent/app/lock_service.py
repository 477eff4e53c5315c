"""Short exclusive locks with an owner token and an expiry.

The rules are those of a lock kept in a shared store: only the holder of the token
can release or renew, a holder that dies frees the key when its time runs out, and a
late release by a former holder never frees somebody else's lock.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, Optional


@dataclass(frozen=True)
class Lock:
    key: str
    token: str
    expires_at: float
    #: Grows with every grant; a store that remembers the highest one can refuse stale holders.
    fence: int


class LockService:
    def __init__(
        self, default_ttl: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if default_ttl <= 0:
            raise ValueError("default_ttl must be greater than 0")
        self._default_ttl = default_ttl
        self._clock = clock
        self._guard = threading.Lock()
        self._held: Dict[str, Lock] = {}
        self._fence = 0

    def acquire(self, key: str, ttl: Optional[float] = None) -> Optional[Lock]:
        """Take the lock, or return ``None`` at once when somebody else holds it."""
        lifetime = self._default_ttl if ttl is None else ttl
        if lifetime <= 0:
            raise ValueError("ttl must be greater than 0")
        with self._guard:
            now = self._clock()
            if self._live(key, now) is not None:
                return None
            self._fence += 1
            lock = Lock(key, secrets.token_hex(16), now + lifetime, self._fence)
            self._held[key] = lock
            return lock

    def release(self, lock: Lock) -> bool:
        """Free the key; ``False`` when ``lock`` no longer holds it."""
        with self._guard:
            if not self._owns(lock, self._clock()):
                return False
            del self._held[lock.key]
            return True

    def renew(self, lock: Lock, ttl: Optional[float] = None) -> Optional[Lock]:
        """Extend the lifetime; ``None`` when ``lock`` no longer holds the key."""
        lifetime = self._default_ttl if ttl is None else ttl
        with self._guard:
            now = self._clock()
            if not self._owns(lock, now):
                return None
            renewed = Lock(lock.key, lock.token, now + lifetime, lock.fence)
            self._held[lock.key] = renewed
            return renewed

    @contextmanager
    def hold(self, key: str, ttl: Optional[float] = None) -> Iterator[Optional[Lock]]:
        """``with locks.hold(key) as lock:``, where ``lock`` is ``None`` when it is taken."""
        lock = self.acquire(key, ttl)
        try:
            yield lock
        finally:
            if lock is not None:
                self.release(lock)

    def is_held(self, key: str) -> bool:
        with self._guard:
            return self._live(key, self._clock()) is not None

    def _live(self, key: str, now: float) -> Optional[Lock]:
        lock = self._held.get(key)
        if lock is not None and lock.expires_at <= now:
            del self._held[key]
            return None
        return lock

    def _owns(self, lock: Lock, now: float) -> bool:
        current = self._live(lock.key, now)
        return current is not None and secrets.compare_digest(current.token, lock.token)

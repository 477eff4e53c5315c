import threading

import pytest

from app.session_manager import SessionManager, TooManySessions


@pytest.fixture
def sessions(clock):
    return SessionManager(ttl=30, clock=clock, max_sessions=2)


def test_session_ttl_expires(sessions, clock):
    first = sessions.get_or_create("ana")
    clock.advance(29.9)
    assert sessions.get("ana") is first
    clock.advance(0.1)
    assert sessions.get("ana") is None
    assert sessions.get_or_create("ana") is not first


def test_session_ttl_restarts_with_each_message(sessions, clock):
    first = sessions.get_or_create("ana")
    for _ in range(5):
        clock.advance(20)
        assert sessions.get_or_create("ana") is first


def test_session_ttl_is_not_extended_by_looking(sessions, clock):
    sessions.get_or_create("ana")
    clock.advance(20)
    assert sessions.get("ana") is not None
    clock.advance(10)
    assert sessions.get("ana") is None


def test_session_ttl_expired_data_is_gone(sessions, clock):
    sessions.get_or_create("ana").last_reservation = "R-000001"
    clock.advance(30)
    assert sessions.get_or_create("ana").last_reservation is None


def test_session_count_leaves_out_the_expired(sessions, clock):
    sessions.get_or_create("ana")
    clock.advance(15)
    sessions.get_or_create("luis")
    assert sessions.active() == 2
    clock.advance(15)
    assert sessions.active() == 1


def test_session_limit_makes_room_from_the_expired_only(sessions, clock):
    sessions.get_or_create("ana")
    clock.advance(15)
    sessions.get_or_create("luis")
    with pytest.raises(TooManySessions):
        sessions.get_or_create("eva")
    clock.advance(15)
    assert sessions.get_or_create("eva").id == "eva"


def test_session_end(sessions):
    sessions.get_or_create("ana")
    assert sessions.end("ana") is True
    assert sessions.end("ana") is False


def test_session_forget_request(sessions):
    session = sessions.get_or_create("ana")
    session.pending_intent, session.slots = "book", {"nights": 2}
    session.forget_request()
    assert session.pending_intent is None and session.slots == {}


def test_session_is_created_once_under_concurrency(clock):
    sessions = SessionManager(ttl=30, clock=clock)
    start = threading.Barrier(8)
    seen = []

    def work():
        start.wait(timeout=5)
        seen.append(sessions.get_or_create("ana"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert len(seen) == 8
    assert all(session is seen[0] for session in seen)


def test_session_ttl_must_be_positive():
    with pytest.raises(ValueError):
        SessionManager(ttl=0)

import pytest

from app import nlp
from app.lock_service import LockService
from app.orchestrator import MAX_TEXT, Orchestrator, OrchestratorError
from app.pms_adapter import CircuitBreaker, PmsAdapter, PmsUnavailable
from app.session_manager import SessionManager

BOOKING = "I want to book a double room on 2030-05-01 for 2 nights"


@pytest.fixture
def sessions(clock):
    return SessionManager(ttl=60, clock=clock)


@pytest.fixture
def locks(clock):
    return LockService(clock=clock)


@pytest.fixture
def agent(sessions, locks, fake_pms, clock):
    breaker = CircuitBreaker(failures=2, reset_after=5, clock=clock)
    rules = nlp.Engine("rules", str.split)
    return Orchestrator(sessions, locks, PmsAdapter(fake_pms, breaker), rules.parse)


def test_orchestrator_happy_path(agent, sessions, locks, fake_pms):
    """A whole conversation: greet, check, book with the details remembered, cancel."""
    assert agent.handle("ana", "hello").outcome == "ok"

    checked = agent.handle("ana", "is a double available on 2030-05-01 for 2 nights ?")
    assert (checked.intent, checked.outcome) == ("check_availability", "ok")
    assert checked.data["count"] == 2

    booked = agent.handle("ana", "book it please")
    assert (booked.intent, booked.outcome) == ("book", "ok")
    assert booked.data == {
        "reservation": "R-000001",
        "room": "201",
        "room_type": "double",
        "date": "2030-05-01",
        "nights": 2,
    }
    assert "R-000001" in booked.text
    assert fake_pms.reservations == {"R-000001": "201"}
    assert sessions.get("ana").last_reservation == "R-000001"
    assert not locks.is_held("room:201"), "the lock is given back after the booking"

    cancelled = agent.handle("ana", "cancel my booking")
    assert (cancelled.intent, cancelled.outcome) == ("cancel", "ok")
    assert fake_pms.reservations == {}
    assert sessions.get("ana").last_reservation is None


def test_orchestrator_asks_for_missing_details_in_the_guests_language(agent, fake_pms):
    first = agent.handle("luis", "hola, quiero reservar una habitación doble")
    assert (first.outcome, first.language) == ("need_details", "es")
    assert "noches" in first.text and "habitación" not in first.text
    assert fake_pms.calls == []

    second = agent.handle("luis", "01/05/2030 por 3 noches")
    assert (second.intent, second.outcome, second.language) == ("book", "ok", "es")
    assert second.data["date"] == "2030-05-01"
    assert second.data["nights"] == 3


def test_orchestrator_keeps_guests_apart(agent):
    agent.handle("ana", "book a double")
    reply = agent.handle("luis", "2030-05-01 for 2 nights")
    assert reply.outcome == "not_understood"


def test_orchestrator_sold_out(agent, fake_pms):
    fake_pms.free.clear()
    assert agent.handle("ana", BOOKING).outcome == "sold_out"
    reply = agent.handle("ana", "is a double available on 2030-05-01 for 2 nights")
    assert reply.outcome == "sold_out"


def test_orchestrator_takes_the_next_room_when_one_is_locked(agent, locks):
    locks.acquire("room:201")
    assert agent.handle("ana", BOOKING).data["room"] == "202"


def test_orchestrator_reports_contention_when_every_room_is_locked(agent, locks, fake_pms):
    locks.acquire("room:201")
    locks.acquire("room:202")
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", BOOKING)
    assert (caught.value.status, caught.value.code) == (409, "room_busy")
    assert fake_pms.reservations == {}


def test_orchestrator_takes_the_next_room_when_one_was_just_sold(agent, fake_pms):
    stale = {"rooms": [{"id": "299", "type": "double", "price": 1}]}
    stale["rooms"].append({"id": "202", "type": "double", "price": 1})
    fake_pms.answers = [(200, stale)]
    assert agent.handle("ana", BOOKING).data["room"] == "202"


def test_orchestrator_gives_the_lock_back_when_the_pms_fails(agent, locks, fake_pms):
    rooms = {"rooms": [{"id": "201", "type": "double", "price": 120}]}
    fake_pms.answers = [(200, rooms), (500, {})]
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", BOOKING)
    assert caught.value.code == "pms_unavailable"
    assert not locks.is_held("room:201")


def test_orchestrator_pms_outage_opens_the_circuit(agent, fake_pms, clock):
    fake_pms.broken = PmsUnavailable("no connection")
    for _ in range(2):
        with pytest.raises(OrchestratorError) as caught:
            agent.handle("ana", BOOKING)
        assert (caught.value.status, caught.value.code) == (503, "pms_unavailable")
    calls = len(fake_pms.calls)

    clock.advance(1.5)
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", BOOKING)
    assert caught.value.retry_after == 4, "3.5 s left, rounded up"
    assert len(fake_pms.calls) == calls, "an open circuit leaves the PMS alone"

    fake_pms.broken = None
    clock.advance(3.5)
    assert agent.handle("ana", BOOKING).outcome == "ok"


def test_orchestrator_pms_refusal(agent, fake_pms):
    fake_pms.answers = [(401, {"error": {"code": "unauthorized"}})]
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", BOOKING)
    assert (caught.value.status, caught.value.code) == (502, "pms_rejected")


def test_orchestrator_cancel_by_number(agent, fake_pms):
    assert agent.handle("ana", "cancel").outcome == "need_details"
    assert agent.handle("ana", "R-000042").outcome == "not_found"
    fake_pms.reservations["R-000042"] = "201"
    assert agent.handle("ana", "cancel R-000042").outcome == "ok"


def test_orchestrator_cancel_refused(agent, fake_pms):
    fake_pms.answers = [(403, {})]
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", "cancel R-000042")
    assert caught.value.status == 502


@pytest.mark.parametrize("session", [None, 7, "", "no spaces", "x" * 65, "line\nbreak\n"])
def test_orchestrator_refuses_bad_sessions(agent, session):
    with pytest.raises(OrchestratorError) as caught:
        agent.handle(session, "hello")
    assert (caught.value.status, caught.value.code) == (400, "invalid_session")


@pytest.mark.parametrize("text", [None, 7, "", "   ", "x" * (MAX_TEXT + 1)])
def test_orchestrator_refuses_bad_texts(agent, sessions, text):
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("ana", text)
    assert (caught.value.status, caught.value.code) == (400, "invalid_text")
    assert sessions.active() == 0


def test_orchestrator_full_house(locks, fake_pms, clock):
    full = SessionManager(ttl=60, clock=clock, max_sessions=1)
    agent = Orchestrator(full, locks, PmsAdapter(fake_pms, CircuitBreaker()))
    agent.handle("ana", "hello")
    with pytest.raises(OrchestratorError) as caught:
        agent.handle("luis", "hello")
    assert (caught.value.status, caught.value.code) == (503, "too_many_sessions")

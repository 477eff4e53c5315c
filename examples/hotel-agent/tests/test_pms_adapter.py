import threading

import pytest

from app.config import Secret
from app.pms_adapter import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    CircuitBreaker,
    CircuitOpen,
    HttpTransport,
    PmsAdapter,
    PmsRejected,
    PmsUnavailable,
)


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(failures=3, reset_after=10, clock=clock)


def fail():
    raise PmsUnavailable("down")


def reject():
    raise PmsRejected(409, "room_taken")


def trip(breaker, times=3):
    for _ in range(times):
        with pytest.raises(PmsUnavailable):
            breaker.call(fail)


def test_circuit_breaker_closed_passes_calls(breaker):
    assert breaker.state == CLOSED
    assert breaker.call(lambda: 42) == 42
    assert breaker.state == CLOSED


def test_circuit_breaker_closed_forgets_failures_after_a_success(breaker):
    trip(breaker, 2)
    breaker.call(lambda: None)
    trip(breaker, 2)
    assert breaker.state == CLOSED


def test_circuit_breaker_opens_after_consecutive_failures(breaker, clock):
    trip(breaker)
    assert breaker.state == OPEN
    clock.advance(4)
    with pytest.raises(CircuitOpen) as caught:
        breaker.call(lambda: pytest.fail("an open circuit must not call"))
    assert caught.value.retry_after == 6


def test_circuit_breaker_half_open_after_the_pause(breaker, clock):
    trip(breaker)
    clock.advance(9.999)
    assert breaker.state == OPEN
    clock.advance(0.001)
    assert breaker.state == HALF_OPEN


def test_circuit_breaker_half_open_success_closes(breaker, clock):
    trip(breaker)
    clock.advance(10)
    assert breaker.call(lambda: "ok") == "ok"
    assert breaker.state == CLOSED
    trip(breaker, 2)
    assert breaker.state == CLOSED, "the count starts again from zero"


def test_circuit_breaker_half_open_failure_opens_again(breaker, clock):
    trip(breaker)
    clock.advance(10)
    trip(breaker, 1)
    assert breaker.state == OPEN
    clock.advance(9)
    assert breaker.state == OPEN, "the pause starts again"
    clock.advance(1)
    assert breaker.state == HALF_OPEN


def test_circuit_breaker_half_open_allows_a_single_probe(breaker, clock):
    trip(breaker)
    clock.advance(10)

    def probe():
        with pytest.raises(CircuitOpen):
            breaker.call(lambda: pytest.fail("a second probe must not pass"))
        return "probed"

    assert breaker.call(probe) == "probed"
    assert breaker.state == CLOSED


def test_circuit_breaker_half_open_interrupted_probe_frees_the_slot(breaker, clock):
    trip(breaker)
    clock.advance(10)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaker.call(interrupted)
    assert breaker.state == HALF_OPEN
    assert breaker.call(lambda: "ok") == "ok"


def test_circuit_breaker_late_results_do_not_decide(breaker, clock):
    """Calls that began while it was closed have no say once it opened."""

    def slow_success():
        trip(breaker)
        return "late"

    assert breaker.call(slow_success) == "late"
    assert breaker.state == OPEN

    clock.advance(10)
    breaker.call(lambda: None)

    def slow_failure():
        trip(breaker)
        clock.advance(10)
        fail()

    with pytest.raises(PmsUnavailable):
        breaker.call(slow_failure)
    assert breaker.state == HALF_OPEN


def test_circuit_breaker_rejection_is_a_healthy_answer(breaker):
    trip(breaker, 2)
    with pytest.raises(PmsRejected):
        breaker.call(reject)
    trip(breaker, 2)
    assert breaker.state == CLOSED


def test_circuit_breaker_counts_across_threads(clock):
    breaker = CircuitBreaker(failures=8, reset_after=10, clock=clock)
    start = threading.Barrier(8)

    def work():
        start.wait(timeout=5)
        with pytest.raises(PmsUnavailable):
            breaker.call(fail)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert breaker.state == OPEN


@pytest.mark.parametrize("bad", [{"failures": 0}, {"reset_after": 0}])
def test_circuit_breaker_refuses_useless_settings(bad):
    with pytest.raises(ValueError):
        CircuitBreaker(**bad)


def test_pms_adapter_reads_and_writes(fake_pms, breaker):
    adapter = PmsAdapter(fake_pms, breaker)
    adapter.ping()
    rooms = adapter.available_rooms("double", "2030-05-01", 2)
    assert [room.id for room in rooms] == ["201", "202"]
    reservation = adapter.reserve("201", "2030-05-01", 2)
    adapter.cancel(reservation)
    assert fake_pms.calls == [
        ("GET", "/health"),
        ("GET", "/availability?type=double&from=2030-05-01&nights=2"),
        ("POST", "/reservations"),
        ("DELETE", f"/reservations/{reservation}"),
    ]


def test_pms_adapter_escapes_ids(fake_pms, breaker):
    with pytest.raises(PmsRejected):
        PmsAdapter(fake_pms, breaker).cancel("../rooms?x")
    assert fake_pms.calls == [("DELETE", "/reservations/..%2Frooms%3Fx")]


def test_pms_adapter_5xx_counts_and_4xx_does_not(fake_pms, breaker):
    adapter = PmsAdapter(fake_pms, breaker)
    fake_pms.answers = [(500, {}), (503, {}), (404, {"error": {"code": "gone"}})]
    for _ in range(2):
        with pytest.raises(PmsUnavailable):
            adapter.cancel("R-000001")
    with pytest.raises(PmsRejected) as caught:
        adapter.cancel("R-000001")
    assert (caught.value.status, caught.value.code) == (404, "gone")
    assert breaker.state == CLOSED


@pytest.mark.parametrize("answer", [{}, {"rooms": 3}, {"rooms": [{"id": "1"}]}])
def test_pms_adapter_wrong_shapes_count_as_failures(fake_pms, breaker, answer):
    adapter = PmsAdapter(fake_pms, breaker)
    fake_pms.answers = [(200, answer)] * 2 + [(201, {"id": 7})]
    for _ in range(2):
        with pytest.raises(PmsUnavailable):
            adapter.available_rooms("double", "2030-05-01", 2)
    with pytest.raises(PmsUnavailable):
        adapter.reserve("201", "2030-05-01", 2)
    assert breaker.state == OPEN


def test_pms_adapter_ping_looks_past_an_open_circuit(fake_pms, breaker):
    trip(breaker)
    PmsAdapter(fake_pms, breaker).ping()
    assert breaker.state == OPEN


def test_http_transport_without_a_server():
    import socket

    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        transport = HttpTransport(f"http://127.0.0.1:{port}", Secret("hush"), timeout=1)
        with pytest.raises(PmsUnavailable) as caught:
            transport("GET", "/health")
    assert "hush" not in str(caught.value)


def test_http_transport_refuses_other_schemes():
    with pytest.raises(ValueError):
        HttpTransport("file:///etc/passwd", Secret(""), timeout=1)

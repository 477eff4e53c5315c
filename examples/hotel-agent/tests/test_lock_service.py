import threading

import pytest

from app.lock_service import LockService

THREADS = 16


@pytest.fixture
def locks(clock):
    return LockService(default_ttl=10, clock=clock)


def run_together(work, threads=THREADS):
    """Start ``work`` in many threads at the same moment and wait for all of them."""
    start = threading.Barrier(threads)

    def body(number):
        start.wait(timeout=5)
        work(number)

    workers = [threading.Thread(target=body, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=10)
    assert not any(worker.is_alive() for worker in workers)


def test_lock_atomicity_one_winner_per_round(locks):
    for round_number in range(50):
        winners = []

        def work(_):
            lock = locks.acquire(f"room:{round_number}")
            if lock is not None:
                winners.append(lock)

        run_together(work)
        assert len(winners) == 1


def test_lock_atomicity_protects_a_read_modify_write(locks):
    """An unprotected counter survives only if the lock really excludes."""
    stock = {"left": 200, "sold": 0}
    inside = []

    def work(number):
        while True:
            with locks.hold("stock") as lock:
                if lock is None:
                    continue
                inside.append(number)
                assert inside == [number], "two holders at the same time"
                left = stock["left"]
                if left:
                    stock["left"] = left - 1
                    stock["sold"] += 1
                inside.remove(number)
                if not left:
                    return

    run_together(work, threads=4)
    assert stock == {"left": 0, "sold": 200}


def test_lock_atomicity_a_token_releases_once(locks):
    lock = locks.acquire("room")
    released = []
    run_together(lambda _: released.append(locks.release(lock)))
    assert released.count(True) == 1


def test_lock_atomicity_expiry_has_one_successor(locks, clock):
    locks.acquire("room")
    clock.advance(10)
    successors = []

    def work(_):
        lock = locks.acquire("room")
        if lock is not None:
            successors.append(lock)

    run_together(work)
    assert len(successors) == 1


def test_lock_is_exclusive_and_per_key(locks):
    lock = locks.acquire("a")
    assert locks.acquire("a") is None
    assert locks.acquire("b") is not None
    assert locks.release(lock) is True
    assert locks.acquire("a") is not None


def test_lock_late_release_does_not_free_the_successor(locks, clock):
    first = locks.acquire("a")
    clock.advance(10)
    second = locks.acquire("a")
    assert locks.release(first) is False
    assert locks.is_held("a")
    assert locks.release(second) is True
    assert second.fence > first.fence


def test_lock_renew_extends_and_refuses_after_expiry(locks, clock):
    lock = locks.acquire("a", ttl=5)
    clock.advance(4)
    assert locks.renew(lock, ttl=5).expires_at == clock.now + 5
    clock.advance(4)
    assert locks.is_held("a")
    clock.advance(1)
    assert locks.renew(lock) is None
    assert not locks.is_held("a")


def test_lock_is_given_back_after_an_exception(locks):
    with pytest.raises(RuntimeError):
        with locks.hold("a"):
            raise RuntimeError
    assert not locks.is_held("a")


def test_lock_refuses_useless_lifetimes(locks):
    with pytest.raises(ValueError):
        LockService(default_ttl=0)
    with pytest.raises(ValueError):
        locks.acquire("a", ttl=0)

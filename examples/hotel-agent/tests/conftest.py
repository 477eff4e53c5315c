import pytest

from tests.fakes import FakeClock, FakePms


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def fake_pms():
    return FakePms()

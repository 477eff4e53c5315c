"""The judgement of the canary script; its processes are exercised by `make canary-diff`."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "canary_diff.py"


@pytest.fixture(scope="module")
def canary():
    spec = importlib.util.spec_from_file_location("canary_diff", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def latencies(scale, count=400):
    draw = random.Random(7)
    return [scale * draw.uniform(0.9, 1.1) for _ in range(count)]


@pytest.mark.parametrize(
    "scale, verdict", [(1.0, "within"), (0.5, "within"), (1.3, "exceeded"), (1.1, "inconclusive")]
)
def test_canary_latency_has_three_answers(canary, scale, verdict):
    judged = canary.judge_latency(latencies(1.0), latencies(scale), limit=10, seed=1)
    assert judged["verdict"] == verdict
    again = canary.judge_latency(latencies(1.0), latencies(scale), limit=10, seed=1)
    assert again == judged


def test_canary_latency_needs_enough_samples(canary):
    judged = canary.judge_latency(latencies(1.0, 99), latencies(1.0, 400), limit=10, seed=1)
    assert judged["verdict"] == "inconclusive" and "fewer than 100" in judged["reason"]


@pytest.mark.parametrize(
    "base, candidate, verdict",
    [
        (0, 0, "within"),
        (100, 150, "within"),
        (100, 160, "inconclusive"),
        (100, 230, "exceeded"),
        (0, 1, "inconclusive"),
        (0, 6, "exceeded"),
    ],
)
def test_canary_errors(canary, base, candidate, verdict):
    assert canary.judge_errors(base, 1000, candidate, 1000, limit=50)["verdict"] == verdict


def test_canary_overall_verdict_is_the_worst(canary):
    assert canary.overall(("within", "within")) == "within"
    assert canary.overall(("within", "inconclusive")) == "inconclusive"
    assert canary.overall(("inconclusive", "exceeded")) == "exceeded"


def test_canary_quantile_is_nearest_rank(canary):
    assert canary.quantile([1, 2, 3, 4], 0.5) == 2
    assert canary.quantile([1], 0.95) == 1
    assert canary.quantile([], 0.95) is None


def test_canary_refuses_options_as_revisions(canary):
    with pytest.raises(canary.CannotMeasure):
        canary.resolve("--upload-pack=x")

import pytest

from app.metrics import LATENCY_BUCKETS, Counter, Gauge, Histogram, Registry


def test_metrics_text_format():
    registry = Registry()
    counter = registry.add(Counter("c_total", "Counts\nthings.", ("route",)))
    histogram = registry.add(Histogram("h", "Times.", ("route",), buckets=(0.1, 1)))
    registry.add(Gauge("g", "Reads.", lambda: [({}, 1.5)]))
    counter.inc('/a"b\\c')
    counter.inc('/a"b\\c', by=2)
    for seconds in (0.1, 0.5, 7):
        histogram.observe(seconds, "/a")
    assert registry.render() == (
        "# HELP c_total Counts\\nthings.\n"
        "# TYPE c_total counter\n"
        'c_total{route="/a\\"b\\\\c"} 3\n'
        "# HELP h Times.\n"
        "# TYPE h histogram\n"
        'h_bucket{route="/a",le="0.1"} 1\n'
        'h_bucket{route="/a",le="1"} 2\n'
        'h_bucket{route="/a",le="+Inf"} 3\n'
        'h_sum{route="/a"} 7.6\n'
        'h_count{route="/a"} 3\n'
        "# HELP g Reads.\n"
        "# TYPE g gauge\n"
        "g 1.5\n"
    )


def test_metrics_buckets_can_tell_ten_percent():
    steps = [high / low for low, high in zip(LATENCY_BUCKETS, LATENCY_BUCKETS[1:])]
    assert max(steps) < 1.1
    assert LATENCY_BUCKETS[0] == 0.001 and LATENCY_BUCKETS[-1] > 4


def test_metrics_refuse_mistakes():
    registry = Registry()
    counter = registry.add(Counter("c_total", "Counts."))
    with pytest.raises(ValueError):
        registry.add(counter)
    with pytest.raises(ValueError):
        counter.inc("surplus")
    with pytest.raises(ValueError):
        Histogram("h", "Times.").observe(1, "surplus")
    with pytest.raises(ValueError):
        Histogram("h", "Times.", buckets=(2, 1))

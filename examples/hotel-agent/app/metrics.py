"""A small metrics registry that writes the Prometheus text format."""

from __future__ import annotations

import bisect
import math
import threading
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: 1 ms to about 4 s in steps of a factor 2^(1/8), some 9 %: fine enough for a quantile
#: taken from the buckets to tell a change of ten percent from none.
LATENCY_BUCKETS = tuple(round(0.001 * 2 ** (step / 8), 6) for step in range(97))

Labels = Tuple[str, ...]


class Counter:
    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help_text, self._labels = name, help_text, tuple(labels)
        self._guard = threading.Lock()
        self._values: Dict[Labels, float] = {}

    def inc(self, *labels: str, by: float = 1) -> None:
        if len(labels) != len(self._labels):
            raise ValueError(f"{self.name} takes labels {self._labels}")
        with self._guard:
            self._values[labels] = self._values.get(labels, 0) + by

    def samples(self) -> List[str]:
        with self._guard:
            values = sorted(self._values.items())
        return [_sample(self.name, dict(zip(self._labels, key)), value) for key, value in values]


class Gauge:
    """Reads its series when it is scraped: ``read() -> [(labels, value), ...]``."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        help_text: str,
        read: Callable[[], List[Tuple[Mapping[str, str], float]]],
    ) -> None:
        self.name, self.help_text, self._read = name, help_text, read

    def samples(self) -> List[str]:
        return [_sample(self.name, labels, value) for labels, value in self._read()]


class Histogram:
    kind = "histogram"

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = LATENCY_BUCKETS,
    ) -> None:
        if not buckets or list(buckets) != sorted(set(buckets)):
            raise ValueError("buckets must be given in growing order")
        self.name, self.help_text = name, help_text
        self._labels, self._bounds = tuple(labels), tuple(buckets)
        self._guard = threading.Lock()
        self._counts: Dict[Labels, List[int]] = {}
        self._sums: Dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        if len(labels) != len(self._labels):
            raise ValueError(f"{self.name} takes labels {self._labels}")
        slot = bisect.bisect_left(self._bounds, value)
        with self._guard:
            counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
            counts[slot] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def samples(self) -> List[str]:
        with self._guard:
            series = [(key, list(counts), self._sums[key]) for key, counts in self._counts.items()]
        lines: List[str] = []
        for key, counts, total in sorted(series):
            labels = dict(zip(self._labels, key))
            running = 0
            for bound, count in zip(self._bounds + (math.inf,), counts):
                running += count
                lines.append(
                    _sample(f"{self.name}_bucket", {**labels, "le": _number(bound)}, running)
                )
            lines.append(_sample(f"{self.name}_sum", labels, total))
            lines.append(_sample(f"{self.name}_count", labels, running))
        return lines


class Registry:
    def __init__(self) -> None:
        self._metrics: Dict[str, object] = {}

    def add(self, metric):
        if metric.name in self._metrics:
            raise ValueError(f"{metric.name} is already registered")
        self._metrics[metric.name] = metric
        return metric

    def render(self) -> str:
        lines: List[str] = []
        for metric in self._metrics.values():
            lines.append(f"# HELP {metric.name} {_escape_help(metric.help_text)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.samples())
        return "\n".join(lines) + "\n"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    if labels:
        pairs = ",".join(f'{key}="{_escape_label(text)}"' for key, text in labels.items())
        name = f"{name}{{{pairs}}}"
    return f"{name} {_number(value)}"


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escape_label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")

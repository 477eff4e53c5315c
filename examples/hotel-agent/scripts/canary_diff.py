#!/usr/bin/env python3
"""Compare two revisions of the service under the same load.

The baseline is checked out in a temporary git worktree; the candidate is this tree, or
another revision. Each side runs with its own PMS, and every message goes to both, in
alternating order, so that what disturbs the machine disturbs both sides.

    python3 scripts/canary_diff.py --baseline main --json canary.json

Exit code: 0 within the limits, 1 a limit is exceeded, 2 it couldn't be measured,
3 not enough data to tell.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import math
import os
import random
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

HOME = Path(__file__).resolve().parent.parent
START_SECONDS = 15
RESAMPLES = 500
WITHIN, EXCEEDED, UNCLEAR = "within", "exceeded", "inconclusive"
EXIT = {WITHIN: 0, EXCEEDED: 1, UNCLEAR: 3}


class CannotMeasure(Exception):
    pass


@dataclass
class Side:
    name: str
    revision: str
    commit: str
    port: int = 0
    latencies: List[float] = field(default_factory=list)
    requests: int = 0
    errors: int = 0

    def add(self, seconds: float, failed: bool) -> None:
        self.requests += 1
        if failed:
            self.errors += 1
        else:
            self.latencies.append(seconds)

    def summary(self) -> Dict[str, object]:
        return {
            "revision": self.revision,
            "commit": self.commit,
            "requests": self.requests,
            "errors": self.errors,
            "p50_ms": _milliseconds(quantile(sorted(self.latencies), 0.50)),
            "p95_ms": _milliseconds(quantile(sorted(self.latencies), 0.95)),
        }


# --- the two trees ------------------------------------------------------------------------


def git(*arguments: str) -> str:
    # No shell, and git is found as the user's own shell finds it.
    done = subprocess.run(  # nosec B603 B607
        ["git", "-C", str(HOME), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotMeasure(f"git {arguments[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def resolve(revision: str) -> str:
    if revision.startswith("-"):
        raise CannotMeasure(f"{revision!r} is not a revision")
    return git("rev-parse", "--verify", f"{revision}^{{commit}}")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The service's folder as it was at ``commit``."""
    prefix = git("rev-parse", "--show-prefix")
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--detach", str(tree), commit)
        try:
            service = tree / prefix
            if not (service / "app").is_dir():
                raise CannotMeasure(f"revision {commit[:12]} has no service in {prefix or '.'}")
            yield service
        finally:
            git("worktree", "remove", "--force", str(tree))


# --- the processes ------------------------------------------------------------------------


@contextlib.contextmanager
def process(folder: Path, module: str, env: Dict[str, str]) -> Iterator[int]:
    """Run ``python -m module`` on a free port; gives the port once it listens."""
    # This very interpreter, and no shell.
    child = subprocess.Popen(  # nosec B603
        [sys.executable, "-m", module, "--port", "0"],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1", **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    listening = threading.Event()
    port: List[int] = []
    tail: List[str] = []

    def follow() -> None:
        for line in child.stderr:
            if not port:
                tail.append(line.strip())
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    event = json.loads(line)
                    if event["event"] == "listening":
                        port.append(int(event["port"]))
                        listening.set()
        listening.set()  # the end of the output: it will not listen any more

    threading.Thread(target=follow, daemon=True).start()
    try:
        if not listening.wait(START_SECONDS) or not port:
            raise CannotMeasure(f"{module} of {folder} did not start: {' '.join(tail[-3:])}")
        yield port[0]
    finally:
        child.terminate()
        try:
            child.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def service(folder: Path, pms_latency_ms: float, extra: Dict[str, str]) -> Iterator[int]:
    pms_env = {"PMS_LATENCY_MS": str(pms_latency_ms), "PMS_ROOMS_PER_TYPE": "20"}
    with process(folder, "app.pms", pms_env) as pms_port:
        env = {"PMS_BASE_URL": f"http://127.0.0.1:{pms_port}", **extra}
        with process(folder, "app", env) as port:
            wait_until_ready(port)
            yield port


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", "/health/ready")
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        time.sleep(0.05)
    raise CannotMeasure(f"the service on port {port} did not become ready")


# --- the load -----------------------------------------------------------------------------


class Client:
    """One guest's connection to one side."""

    def __init__(self, side: Side, session: str) -> None:
        self._side, self._session = side, session
        self._connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=10)

    def say(self, text: str) -> Tuple[float, bool]:
        """(seconds, failed): a 5xx or no answer is a failure."""
        body = json.dumps({"session": self._session, "text": text})
        started = time.perf_counter()
        try:
            self._connection.request("POST", "/v1/messages", body)
            response = self._connection.getresponse()
            response.read()
            failed = response.status >= 500
        except (OSError, http.client.HTTPException):
            self._connection.close()
            failed = True
        return time.perf_counter() - started, failed

    def close(self) -> None:
        self._connection.close()


def script(worker: int, turn: int) -> str:
    """What a guest says: a conversation of four messages, on days of the guest's own."""
    day = dt.date(2030, 1, 1) + dt.timedelta(days=100 * worker + 3 * (turn // 4 % 30))
    return (
        "hello",
        f"is a double available on {day} for 2 nights",
        "book it",
        "cancel my booking",
    )[turn % 4]


def load(sides: Sequence[Side], requests: int, workers: int, first: int, keep: bool) -> None:
    """Send ``requests`` messages to each side; ``first`` numbers them across rounds."""
    guard = threading.Lock()

    def work(worker: int) -> None:
        clients = [Client(side, f"canary-{worker}") for side in sides]
        order = list(zip(sides, clients))
        measured = []
        for turn in range(first, first + math.ceil(requests / workers)):
            text = script(worker, turn)
            for side, client in order if turn % 2 else reversed(order):
                measured.append((side, *client.say(text)))
        for client in clients:
            client.close()
        if keep:
            with guard:
                for side, seconds, failed in measured:
                    side.add(seconds, failed)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- the judgement ------------------------------------------------------------------------


def quantile(ordered: Sequence[float], q: float) -> Optional[float]:
    """The nearest-rank quantile."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


def judge_latency(
    baseline: Sequence[float], candidate: Sequence[float], limit: float, seed: int
) -> Dict[str, object]:
    """P95 change in percent with a bootstrap interval; the interval decides."""
    result: Dict[str, object] = {"limit_percent": limit, "verdict": UNCLEAR}
    if min(len(baseline), len(candidate)) < 100:
        return {**result, "reason": "fewer than 100 successful requests on a side"}
    # Nothing secret is drawn here, and the seed makes the judgement repeatable.
    draw = random.Random(seed)  # nosec B311
    changes = []
    for _ in range(RESAMPLES):
        one = quantile(sorted(draw.choices(baseline, k=len(baseline))), 0.95)
        two = quantile(sorted(draw.choices(candidate, k=len(candidate))), 0.95)
        changes.append((two / one - 1) * 100)
    changes.sort()
    low, high = quantile(changes, 0.05), quantile(changes, 0.95)
    point = quantile(sorted(candidate), 0.95) / quantile(sorted(baseline), 0.95)
    result["change_percent"] = round((point - 1) * 100, 2)
    result["interval_percent"] = [round(low, 2), round(high, 2)]
    if high <= limit:
        result["verdict"] = WITHIN
    elif low > limit:
        result["verdict"] = EXCEEDED
    return result


def judge_errors(
    base_errors: int, base_requests: int, errors: int, requests: int, limit: float
) -> Dict[str, object]:
    """Error rate against ``1 + limit %`` of the baseline's.

    Given the errors of both sides together, the candidate's share of them is binomial.
    Under the limit passes; over it fails when chance explains it in less than 1 of 20 cases.
    """
    allowed = (1 + limit / 100) * requests / base_requests
    total = base_errors + errors
    share = allowed / (1 + allowed)
    chance = sum(
        math.comb(total, k) * share**k * (1 - share) ** (total - k)
        for k in range(errors, total + 1)
    )
    if errors <= allowed * base_errors:
        verdict = WITHIN
    else:
        verdict = EXCEEDED if chance < 0.05 else UNCLEAR
    return {
        "limit_percent": limit,
        "baseline_rate": base_errors / base_requests,
        "candidate_rate": errors / requests,
        "chance": round(min(1.0, chance), 6),
        "verdict": verdict,
    }


def overall(verdicts: Sequence[object]) -> str:
    if EXCEEDED in verdicts:
        return EXCEEDED
    return UNCLEAR if UNCLEAR in verdicts else WITHIN


def _milliseconds(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else round(seconds * 1000, 3)


# --- the command --------------------------------------------------------------------------


def setting(raw: str) -> Tuple[str, str]:
    name, separator, value = raw.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    return name, value


def positive(raw: str) -> int:
    value = int(raw)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--baseline", default="main", help="git revision (default: main)")
    parser.add_argument("--candidate", help="git revision (default: this tree as it is)")
    parser.add_argument("--requests", type=positive, default=800, help="per side and round")
    parser.add_argument("--rounds", type=positive, default=5, help="at most, until it is clear")
    parser.add_argument("--workers", type=positive, default=2, help="guests at a time")
    parser.add_argument("--warmup", type=positive, default=80, help="requests not counted")
    parser.add_argument("--pms-latency-ms", type=float, default=5.0, help="of both sides' PMS")
    parser.add_argument("--p95-limit", type=float, default=10.0, help="percent (default: 10)")
    parser.add_argument("--error-limit", type=float, default=50.0, help="percent (default: 50)")
    parser.add_argument("--seed", type=int, default=20251108, help="of the bootstrap")
    parser.add_argument("--json", type=Path, help="write the report here")
    for side in ("baseline", "candidate"):
        parser.add_argument(
            f"--{side}-env",
            type=setting,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"environment of the {side}'s service, e.g. HOTEL_EXTRA_LATENCY_MS=5",
        )
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> Dict[str, object]:
    with contextlib.ExitStack() as stack:
        base_commit = resolve(args.baseline)
        base_folder = stack.enter_context(checkout(base_commit))
        baseline = Side("baseline", args.baseline, base_commit)
        if args.candidate:
            commit = resolve(args.candidate)
            folder = stack.enter_context(checkout(commit))
            candidate = Side("candidate", args.candidate, commit)
        else:
            folder = HOME
            changed = bool(git("status", "--porcelain", "--", str(HOME / "app")))
            head = resolve("HEAD") + ("+changes" if changed else "")
            candidate = Side("candidate", "working tree", head)
        for side, place, extra in (
            (baseline, base_folder, args.baseline_env),
            (candidate, folder, args.candidate_env),
        ):
            side.port = stack.enter_context(service(place, args.pms_latency_ms, dict(extra)))

        sides = (baseline, candidate)
        load(sides, args.warmup, args.workers, 0, keep=False)
        for number in range(1, args.rounds + 1):
            load(sides, args.requests, args.workers, number * args.requests, keep=True)
            latency = judge_latency(
                baseline.latencies, candidate.latencies, args.p95_limit, args.seed
            )
            errors = judge_errors(
                baseline.errors,
                baseline.requests,
                candidate.errors,
                candidate.requests,
                args.error_limit,
            )
            verdict = overall((latency["verdict"], errors["verdict"]))
            if verdict != UNCLEAR:
                break
    return {
        "verdict": verdict,
        "rounds": number,
        "baseline": baseline.summary(),
        "candidate": candidate.summary(),
        "p95": latency,
        "errors": errors,
    }


def show(report: Dict[str, object]) -> None:
    for name in ("baseline", "candidate"):
        side = report[name]
        print(
            f"{name:<10} {side['revision']} ({side['commit'][:12]}): {side['requests']} requests, "
            f"{side['errors']} errors, P50 {side['p50_ms']} ms, P95 {side['p95_ms']} ms"
        )
    p95, errors = report["p95"], report["errors"]
    change = "not known"
    if "change_percent" in p95:
        low, high = p95["interval_percent"]
        change = f"{p95['change_percent']:+} % (90 % interval {low:+} to {high:+})"
    print(f"P95        {change}, limit +{p95['limit_percent']} %: {p95['verdict']}")
    print(
        f"error rate {errors['baseline_rate']:.4f} -> {errors['candidate_rate']:.4f}, "
        f"limit +{errors['limit_percent']} %: {errors['verdict']}"
    )
    print(f"canary     {report['verdict']}")


def main(argv: Optional[List[str]] = None) -> int:
    args = arguments(argv)
    try:
        if args.json and args.json.exists():
            args.json.unlink()  # an old report must not pass for this one's
        report = measure(args)
    except (CannotMeasure, OSError) as error:
        print(f"canary-diff: {error}", file=sys.stderr)
        return 2
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return EXIT[report["verdict"]]


if __name__ == "__main__":
    raise SystemExit(main())

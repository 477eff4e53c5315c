"""Typed configuration, read once from the environment.

Secrets are wrapped in :class:`Secret`, whose ``repr`` and ``str`` never show the
value, so that a configuration can be logged or appear in a traceback safely.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Callable, Dict, Mapping, Tuple, TypeVar
from urllib.parse import urlsplit

ENVIRONMENTS = ("development", "staging", "production")
PLACEHOLDER = "change-me"

T = TypeVar("T")


class ConfigError(ValueError):
    """The environment can't be turned into a usable configuration."""


class Secret:
    """A string that has to be asked for explicitly."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


@dataclass(frozen=True)
class Config:
    app_env: str
    host: str
    port: int
    base_url: str
    pms_base_url: str
    pms_api_key: Secret
    pms_timeout_seconds: float
    session_secret: Secret
    session_ttl_seconds: float
    lock_ttl_seconds: float
    breaker_failures: int
    breaker_reset_seconds: float
    slack_webhook_url: Secret
    spacy_model: str
    # Fault knobs: they exist so that a deploy check can be seen to fail.
    extra_latency_ms: float
    error_rate: Fraction
    ready_flap: Tuple[int, ...]
    ready_delay_ms: float


def load_config(env: Mapping[str, str]) -> Config:
    """Build a :class:`Config`, or raise :class:`ConfigError` naming every bad variable."""
    problems = []

    def read(name: str, default: str, convert: Callable[[str], T]) -> T:
        raw = env.get(name, "").strip() or default
        try:
            return convert(raw)
        except ValueError as error:
            # The value itself is left out on purpose: it might be a misplaced secret.
            problems.append(f"{name}: {error}")
            return convert(default)

    app_env = read("APP_ENV", "development", _one_of(ENVIRONMENTS))
    config = Config(
        app_env=app_env,
        host=read("HOST", "127.0.0.1", str),
        port=read("PORT", "8080", _port),
        base_url=read("BASE_URL", "http://127.0.0.1:8080", _http_url),
        pms_base_url=read("PMS_BASE_URL", "http://127.0.0.1:8090", _http_url),
        pms_api_key=read("PMS_API_KEY", "", Secret),
        pms_timeout_seconds=read("PMS_TIMEOUT_SECONDS", "2", _positive),
        session_secret=read("SESSION_SECRET", "", Secret),
        session_ttl_seconds=read("SESSION_TTL_SECONDS", "1800", _positive),
        lock_ttl_seconds=read("LOCK_TTL_SECONDS", "10", _positive),
        breaker_failures=read("BREAKER_FAILURES", "3", at_least_one),
        breaker_reset_seconds=read("BREAKER_RESET_SECONDS", "5", _positive),
        slack_webhook_url=read("SLACK_WEBHOOK_URL", "", Secret),
        spacy_model=read("HOTEL_SPACY_MODEL", "", str),
        extra_latency_ms=read("HOTEL_EXTRA_LATENCY_MS", "0", not_negative),
        error_rate=read("HOTEL_ERROR_RATE", "0", _ratio),
        ready_flap=read("HOTEL_READY_FLAP", "", _status_list),
        ready_delay_ms=read("HOTEL_READY_DELAY_MS", "0", not_negative),
    )
    if app_env != "development":
        problems.extend(_deployment_problems(config))
    if problems:
        raise ConfigError("; ".join(problems))
    return config


def _deployment_problems(config: Config):
    """What a laptop forgives and a shared environment doesn't."""
    secrets = {
        "PMS_API_KEY": config.pms_api_key,
        "SESSION_SECRET": config.session_secret,
        "SLACK_WEBHOOK_URL": config.slack_webhook_url,
    }
    for name, secret in secrets.items():
        if PLACEHOLDER in secret.reveal().lower():
            yield f"{name}: still holds the placeholder, set a real value"
    for name in ("PMS_API_KEY", "SESSION_SECRET"):
        if not secrets[name]:
            yield f"{name}: required when APP_ENV={config.app_env}"
    if config.app_env == "production" and (
        config.extra_latency_ms or config.error_rate or config.ready_flap or config.ready_delay_ms
    ):
        yield "HOTEL_*: fault knobs are refused when APP_ENV=production"


def read_env_file(path: str) -> Dict[str, str]:
    """Read ``KEY=value`` lines; quotes around a value are removed, ``#`` starts a comment line."""
    values: Dict[str, str] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            key, separator, value = line.partition("=")
            key, value = key.strip(), value.strip()
            if not separator or not key.isidentifier():
                raise ConfigError(f"{path}:{number}: expected KEY=value")
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            values[key] = value
    return values


def environment(env_file: str = "") -> Dict[str, str]:
    """The process environment on top of an optional file: what is set by hand wins."""
    values = read_env_file(env_file) if env_file else {}
    values.update(os.environ)
    return values


def _one_of(choices: Tuple[str, ...]) -> Callable[[str], str]:
    def convert(raw: str) -> str:
        if raw not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return raw

    return convert


def _number(raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        raise ValueError("must be a number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("must be a finite number")
    return value


def _positive(raw: str) -> float:
    value = _number(raw)
    if value <= 0:
        raise ValueError("must be greater than 0")
    return value


def not_negative(raw: str) -> float:
    value = _number(raw)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _integer(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise ValueError("must be a whole number") from None


def at_least_one(raw: str) -> int:
    value = _integer(raw)
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def _port(raw: str) -> int:
    value = _integer(raw)
    if not 0 <= value <= 65535:
        raise ValueError("must be a port between 0 and 65535")
    return value


def _ratio(raw: str) -> Fraction:
    try:
        value = Fraction(raw)
    except (ValueError, ZeroDivisionError):
        raise ValueError("must be a number between 0 and 1") from None
    if not 0 <= value <= 1:
        raise ValueError("must be between 0 and 1")
    return value


def _status_list(raw: str) -> Tuple[int, ...]:
    codes = tuple(_integer(part.strip()) for part in raw.split(",") if part.strip())
    if any(not 200 <= code <= 599 for code in codes):
        raise ValueError("must be a comma list of HTTP status codes between 200 and 599")
    return codes


def _http_url(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    return raw.rstrip("/")

from fractions import Fraction

import pytest

from app.config import ConfigError, Secret, environment, load_config, read_env_file

STAGING = {
    "APP_ENV": "staging",
    "PMS_API_KEY": "k-123",
    "SESSION_SECRET": "s-456",
    "SLACK_WEBHOOK_URL": "https://hooks.example/abc",
}


def test_config_defaults():
    config = load_config({})
    assert (config.app_env, config.host, config.port) == ("development", "127.0.0.1", 8080)
    assert config.error_rate == 0 and config.ready_flap == ()


def test_config_reads_types():
    config = load_config(
        {
            "PORT": "0",
            "PMS_BASE_URL": "https://pms.example/api/",
            "HOTEL_EXTRA_LATENCY_MS": "2.5",
            "HOTEL_ERROR_RATE": "0.1",
            "HOTEL_READY_FLAP": "200, 503,200",
        }
    )
    assert config.port == 0
    assert config.pms_base_url == "https://pms.example/api"
    assert config.extra_latency_ms == 2.5
    assert config.error_rate == Fraction(1, 10)
    assert config.ready_flap == (200, 503, 200)


@pytest.mark.parametrize(
    "name, value",
    [
        ("APP_ENV", "qa"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("BASE_URL", "localhost:8080"),
        ("PMS_BASE_URL", "file:///etc"),
        ("SESSION_TTL_SECONDS", "0"),
        ("SESSION_TTL_SECONDS", "nan"),
        ("LOCK_TTL_SECONDS", "soon"),
        ("BREAKER_FAILURES", "0"),
        ("HOTEL_EXTRA_LATENCY_MS", "-1"),
        ("HOTEL_ERROR_RATE", "1.1"),
        ("HOTEL_ERROR_RATE", "half"),
        ("HOTEL_READY_FLAP", "200,99"),
    ],
)
def test_config_names_the_bad_variable_and_not_its_value(name, value):
    with pytest.raises(ConfigError) as caught:
        load_config({name: value})
    assert str(caught.value).startswith(f"{name}: must ")


def test_config_reports_every_problem_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config({"PORT": "x", "BREAKER_FAILURES": "x"})
    assert "PORT" in str(caught.value) and "BREAKER_FAILURES" in str(caught.value)


def test_config_staging_accepts_real_secrets():
    assert load_config(STAGING).pms_api_key.reveal() == "k-123"


@pytest.mark.parametrize("name", ["PMS_API_KEY", "SESSION_SECRET", "SLACK_WEBHOOK_URL"])
@pytest.mark.parametrize("value", ["change-me", "CHANGE-ME", "https://change-me.example"])
def test_config_staging_refuses_placeholders(name, value):
    with pytest.raises(ConfigError, match=f"{name}: still holds the placeholder"):
        load_config({**STAGING, name: value})


@pytest.mark.parametrize("name", ["PMS_API_KEY", "SESSION_SECRET"])
def test_config_staging_requires_secrets(name):
    with pytest.raises(ConfigError, match=f"{name}: required when APP_ENV=staging"):
        load_config({**STAGING, name: ""})


def test_config_production_refuses_fault_knobs():
    with pytest.raises(ConfigError, match="fault knobs"):
        load_config({**STAGING, "APP_ENV": "production", "HOTEL_ERROR_RATE": "0.01"})


def test_config_development_forgives_placeholders():
    load_config({"PMS_API_KEY": "change-me"})


def test_secret_never_shows_itself():
    config = load_config(STAGING)
    assert "k-123" not in repr(config) and "s-456" not in repr(config)
    assert f"{config.pms_api_key}" == "Secret('***')"
    assert Secret("a") == Secret("a") and Secret("a") != "a"
    assert not Secret("")


def test_env_file(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("# a comment\n\nA=\"quoted = kept\"\nB = 'single'\nC=plain\nD=\n", "utf-8")
    assert read_env_file(str(path)) == {"A": "quoted = kept", "B": "single", "C": "plain", "D": ""}
    monkeypatch.setenv("C", "from the process")
    merged = environment(str(path))
    assert (merged["A"], merged["C"]) == ("quoted = kept", "from the process")


def test_env_file_points_at_the_bad_line(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\nnonsense\n", "utf-8")
    with pytest.raises(ConfigError, match=":2: expected KEY=value"):
        read_env_file(str(path))

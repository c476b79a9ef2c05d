"""What an operator may set, and what is refused."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import (
    DEVELOPMENT_DATA_KEY,
    DEVELOPMENT_WEBHOOK_SECRET,
    UnusableSettings,
    load_settings,
    unknown_variables,
)

OWN_SECRET = "whsec_c29tZXRoaW5nLWVsc2UtZW50aXJlbHk="
PRODUCTION = {
    "ORDERFLOW_ENV": "prod",
    "ORDERFLOW_DATABASE_URL": "postgresql://orderflow:hunter2@db/orderflow",
    "ORDERFLOW_DATA_KEYS": json.dumps({"own": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}),
    "ORDERFLOW_CARRIER": "http",
    "ORDERFLOW_CARRIER_URL": "https://carrier.example",
    "ORDERFLOW_CARRIER_WEBHOOK_SECRET": OWN_SECRET,
    "ORDERFLOW_EINVOICE": "simulated",
    "ORDERFLOW_PAYMENT_PROVIDER": "simulated",
    "ORDERFLOW_PAYMENT_WEBHOOK_SECRETS": json.dumps({"stripe": OWN_SECRET}),
}


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ORDERFLOW_SECRETS_DIR", *unknown_variables(), *PRODUCTION):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)


def test_a_laptop_needs_no_setting_at_all() -> None:
    settings = load_settings()
    assert (settings.env, settings.database_url, settings.logs_json) == ("dev", None, False)
    assert (settings.payment_tolerance_minor, settings.reservation_ttl, settings.max_body_bytes) == (1, None, 1_048_576)
    assert settings.payment_webhook_secrets["simulated"].get_secret_value() == DEVELOPMENT_WEBHOOK_SECRET


def test_a_full_production_environment_is_accepted(production: None) -> None:
    settings = load_settings()
    assert settings.logs_json
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://orderflow:hunter2@db/orderflow"
    assert settings.payment_webhook_secrets["stripe"].get_secret_value() == OWN_SECRET


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DATABASE_URL", None, "ORDERFLOW_DATABASE_URL must be set"),
        ("WEBHOOK_ALLOW_PRIVATE", "1", "ORDERFLOW_WEBHOOK_ALLOW_PRIVATE must be off"),
        ("TIME_SCALE", "0.5", "ORDERFLOW_TIME_SCALE must be 1"),
        ("DATA_KEYS", None, "ORDERFLOW_DATA_KEYS must hold keys of your own"),
        (
            "DATA_KEYS",
            json.dumps({"development": DEVELOPMENT_DATA_KEY}),
            "ORDERFLOW_DATA_KEYS must hold keys of your own",
        ),
        ("DATA_KEYS", '{"a": "c2hvcnQ="}', "ORDERFLOW_DATA_KEYS: the key a is not of 32 bytes"),
        ("CARRIER_WEBHOOK_SECRET", None, "ORDERFLOW_CARRIER_WEBHOOK_SECRET must be set"),
        ("CARRIER_WEBHOOK_SECRET", DEVELOPMENT_WEBHOOK_SECRET, "ORDERFLOW_CARRIER_WEBHOOK_SECRET must be set"),
        ("CARRIER_WEBHOOK_SECRET", "short", "ORDERFLOW_CARRIER_WEBHOOK_SECRET must be set"),
        ("PAYMENT_WEBHOOK_SECRETS", None, "ORDERFLOW_PAYMENT_WEBHOOK_SECRETS must hold"),
        (
            "PAYMENT_WEBHOOK_SECRETS",
            json.dumps({"stripe": OWN_SECRET, "old": DEVELOPMENT_WEBHOOK_SECRET}),
            "ORDERFLOW_PAYMENT_WEBHOOK_SECRETS must hold",
        ),
        ("CARRIER", None, "ORDERFLOW_CARRIER must be chosen"),
        ("CARRIER_URL", None, "ORDERFLOW_CARRIER=http needs ORDERFLOW_CARRIER_URL"),
    ],
)
def test_production_refuses_what_is_missing_or_for_development(
    production: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, problem: str
) -> None:
    if value is None:
        monkeypatch.delenv(f"ORDERFLOW_{name}")
    else:
        monkeypatch.setenv(f"ORDERFLOW_{name}", value)
    with pytest.raises(UnusableSettings) as refused:
        load_settings()
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(problem)


def test_a_refusal_names_the_variable_and_never_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_API_PORT", "hunter2")
    monkeypatch.setenv("ORDERFLOW_RESERVATION_TTL", "hunter2")
    with pytest.raises(UnusableSettings) as refused:
        load_settings()
    assert [problem.split(":")[0] for problem in refused.value.problems] == [
        "ORDERFLOW_API_PORT",
        "ORDERFLOW_RESERVATION_TTL",
    ]
    assert "hunter2" not in str(refused.value)


def test_settings_tell_no_secret(production: None) -> None:
    settings = load_settings()
    told = json.dumps(settings.masked()) + repr(settings)
    assert "hunter2" not in told
    assert OWN_SECRET not in told
    assert settings.masked()["payment_webhook_secrets"] == {"stripe": "**********"}


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().api_port = 1  # type: ignore[misc]


def test_environment_wins_over_dotenv_and_an_override_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("ORDERFLOW_API_PORT=1111\nORDERFLOW_RESERVATION_TTL=PT30M\nOTHER=1\n")
    assert load_settings().api_port == 1111
    assert load_settings().reservation_ttl == timedelta(minutes=30)
    monkeypatch.setenv("ORDERFLOW_API_PORT", "2222")
    assert load_settings().api_port == 2222
    assert load_settings(api_port=3333).api_port == 3333


def test_secrets_may_lie_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "orderflow_carrier_webhook_secret").write_text(OWN_SECRET)
    monkeypatch.setenv("ORDERFLOW_SECRETS_DIR", str(tmp_path))
    secret = load_settings().carrier_webhook_secret
    assert secret is not None
    assert secret.get_secret_value() == OWN_SECRET


def test_misspelt_variables_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_DATABSE_URL", "x")
    monkeypatch.setenv("ORDERFLOW_API_PORT", "1")
    assert unknown_variables() == ["ORDERFLOW_DATABSE_URL"]

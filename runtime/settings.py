"""What an operator may set, read once from the environment (`ORDERFLOW_*`), a `.env` file or a folder of secrets.

Business masters (entities, accounts, prices) are data and not settings.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.keyring import KeyRing, UnusableKeys

PREFIX: Final = "ORDERFLOW_"
# Public on purpose: lets anyone sign test webhooks for a local stack. Refused when env=prod.
DEVELOPMENT_WEBHOOK_SECRET: Final = "whsec_b3JkZXJmbG93LWRldmVsb3BtZW50LXNlY3JldA=="  # noqa: S105
DEVELOPMENT_DATA_KEY: Final = "b3JkZXJmbG93LWRldmVsb3BtZW50LWRhdGEta2V5LTE="


class UnusableSettings(Exception):
    """The environment does not make a usable set of settings; `problems` says what to change, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """Frozen after construction; secrets never show in `repr`, logs or dumps."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    env: Literal["dev", "prod"] = "dev"
    database_url: SecretStr | None = Field(None, description="PostgreSQL >= 15; unset means the local stack's")
    database_pool_size: int = Field(20, ge=1, le=200)
    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=1, le=65535)
    max_body_bytes: int = Field(1_048_576, ge=1024)
    data_keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="JSON: name to 32 bytes in base64; the first encrypts, all of them open"
    )
    console: bool = Field(True, description="serve the web pages for people under /console")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool | None = Field(None, description="unset: JSON in prod, console in dev")
    payment_tolerance_minor: int = Field(1, ge=0, description="difference written off to rounding, in minor units")
    surplus_refund: Literal["nothing", "duplicates", "all"] = Field(
        "duplicates", description="money that an order has no use for and that goes back without a click"
    )
    late_payment: Literal["revive", "refund"] = Field(
        "revive", description="an expired order that is paid in full goes on if all units are there, or is refunded"
    )
    reservation_ttl: timedelta | None = Field(None, description="unset: until the order's payment deadline")
    carrier: Literal["simulated", "http"] = "simulated"
    carrier_url: str | None = None
    carrier_token: SecretStr | None = None
    carrier_webhook_secret: SecretStr | None = None
    carrier_autopilot: bool = Field(False, description="the simulated carrier moves its parcels by itself")
    carrier_autopilot_delay_s: float = Field(1.0, ge=0)
    einvoice: Literal["simulated", "http"] = "simulated"
    einvoice_url: str | None = None
    einvoice_token: SecretStr | None = None
    payment_provider: Literal["simulated", "http"] = "simulated"
    payment_provider_url: str | None = None
    payment_provider_token: SecretStr | None = None
    payment_webhook_secrets: dict[str, SecretStr] = Field(default_factory=dict, description="JSON: provider to secret")
    webhook_allow_private: bool = Field(False, description="deliver webhooks to private addresses; never in prod")
    simulator_dir: Path | None = Field(None, description="where simulators remember; unset: in memory")
    anchor_dir: Path | None = Field(None, description="where heads of the chain of events are kept; unset: nowhere")
    anchor_interval_s: float = Field(300.0, gt=0)
    outbox_retention: timedelta = Field(
        timedelta(days=30), ge=timedelta(0), description="delivered messages are kept that long"
    )
    sweep_interval_s: float = Field(2.0, gt=0)
    watch_interval_s: float = Field(15.0, gt=0)
    alarm_interval_s: float = Field(60.0, gt=0)
    metrics_interval_s: float = Field(10.0, ge=0, description="`/metrics` counts anew at most that often")
    worker_metrics_address: str | None = Field(None, description="IP address and port of a worker's own `/metrics`")
    otlp_endpoint: str | None = Field(None, description="where traces go, such as http://host:4318/v1/traces")
    worker_deployment: str | None = Field(None, description="unset: workers take tasks of every release")
    worker_build_id: str | None = Field(None, description="unset: the release")
    time_scale: float = Field(1.0, gt=0, le=1, description="spans of flows times this; demonstrations only")
    payload_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="JSON: name to 32 bytes in base64, the first encrypts; set: what goes to Temporal is encrypted",
    )
    temporal_ui_url: str | None = Field(None, description="where operators open the Web UI; orders link to it")
    ready_file: Path | None = Field(None, description="touched by a worker once it polls")

    @model_validator(mode="before")
    @classmethod
    def give_development_secrets(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("env", "dev") != "dev":
            return given
        return {
            "carrier_webhook_secret": DEVELOPMENT_WEBHOOK_SECRET,
            "payment_webhook_secrets": {"simulated": DEVELOPMENT_WEBHOOK_SECRET},
            "data_keys": {"development": DEVELOPMENT_DATA_KEY},
        } | given

    @model_validator(mode="after")
    def refuse_what_cannot_work(self) -> Self:
        problems = [*self._missing_addresses(), *self._unusable_keys()]
        if self.env == "prod":
            problems += self._unfit_for_production()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def logs_json(self) -> bool:
        return self.env == "prod" if self.log_json is None else self.log_json

    def masked(self) -> dict[str, Any]:
        """Every setting in force, JSON-ready, with `**********` for each secret that is set."""
        return self.model_dump(mode="json")

    @property
    def keyring(self) -> KeyRing:
        """The keys of what is kept encrypted in the database."""
        return ring_of(self.data_keys)

    def _missing_addresses(self) -> list[str]:
        parties = {
            "carrier": (self.carrier, self.carrier_url),
            "einvoice": (self.einvoice, self.einvoice_url),
            "payment_provider": (self.payment_provider, self.payment_provider_url),
        }
        return [
            f"{PREFIX}{name.upper()}=http needs {PREFIX}{name.upper()}_URL"
            for name, (kind, url) in parties.items()
            if kind == "http" and not url
        ]

    def _unusable_keys(self) -> Iterator[str]:
        for name, keys in (("DATA_KEYS", self.data_keys), ("PAYLOAD_KEYS", self.payload_keys)):
            try:
                if keys:
                    ring_of(keys)
            except UnusableKeys as unusable:
                yield f"{PREFIX}{name}: {unusable}"

    def _unfit_for_production(self) -> list[str]:
        problems = []
        if self.database_url is None:
            problems.append(f"{PREFIX}DATABASE_URL must be set when env=prod: the local stack is for development only")
        if self.webhook_allow_private:
            problems.append(f"{PREFIX}WEBHOOK_ALLOW_PRIVATE must be off when env=prod")
        if self.time_scale != 1.0:
            problems.append(f"{PREFIX}TIME_SCALE must be 1 when env=prod: people need the time that flows give them")
        if not _is_own_secret(self.carrier_webhook_secret):
            problems.append(f"{PREFIX}CARRIER_WEBHOOK_SECRET must be set to a secret of your own when env=prod")
        if not self.payment_webhook_secrets or not all(map(_is_own_secret, self.payment_webhook_secrets.values())):
            problems.append(f"{PREFIX}PAYMENT_WEBHOOK_SECRETS must hold secrets of your own when env=prod")
        known = {key.get_secret_value() for key in self.data_keys.values()}
        if not known or DEVELOPMENT_DATA_KEY in known:
            problems.append(f"{PREFIX}DATA_KEYS must hold keys of your own when env=prod: name to 32 bytes in base64")
        problems += [
            f"{PREFIX}{name.upper()} must be chosen when env=prod (http, or simulated knowingly)"
            for name in ("carrier", "einvoice", "payment_provider")
            if name not in self.model_fields_set
        ]
        return problems


def load_settings(**overrides: Any) -> Settings:
    """Reads the settings in force; `overrides` win over the environment, the environment over `.env` and secret files.

    Raises UnusableSettings, which names the variables and never their values.
    """
    secrets_dir = os.environ.get(f"{PREFIX}SECRETS_DIR")
    try:
        return Settings(_env_file=".env", _secrets_dir=secrets_dir or None, **overrides)
    except ValidationError as refused:
        raise UnusableSettings([_sentence(dict(error)) for error in refused.errors(include_input=False)]) from None


def unknown_variables() -> list[str]:
    """Names in the environment that look like settings and are none: most often a misspelling."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}SECRETS_DIR"}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)


def ring_of(keys: Mapping[str, SecretStr]) -> KeyRing:
    """The ring of these keys. Raises UnusableKeys."""
    return KeyRing.of({name: key.get_secret_value() for name, key in keys.items()})


def _is_own_secret(secret: SecretStr | None) -> bool:
    value = secret.get_secret_value() if secret else ""
    return len(value) >= 16 and value != DEVELOPMENT_WEBHOOK_SECRET


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    where = "__".join(str(part) for part in error["loc"])
    return f"{PREFIX}{where.upper()}: {message}" if where else message

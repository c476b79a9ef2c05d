"""Logs are readable by machines and hold neither personal data nor secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from runtime.logging import configure_logging, redact


@pytest.fixture
def json_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_event_is_one_json_object_with_its_context(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    structlog.contextvars.bind_contextvars(order_no="SO2611-7KQ3M9TX")
    structlog.get_logger("orders").info("order placed", amount_minor=1250, buyer_name="Ada", line_count=2)
    structlog.get_logger("orders").debug("not told")
    told = json.loads(capsys.readouterr().err)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "order placed",
        "level": "info",
        "order_no": "SO2611-7KQ3M9TX",
        "amount_minor": 1250,
        "buyer_name": "***",
        "line_count": 2,
    }


def test_logs_of_libraries_take_the_same_shape(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    logging.getLogger("some.library").warning("calling %s", "https://u:hunter2@host/x", extra={"email": "a@b.c"})
    told = json.loads(capsys.readouterr().err)
    assert (told["event"], told["level"], told["email"]) == ("calling https://u:***@host/x", "warning", "***")


def test_a_failure_is_logged_with_its_trace_on_one_line(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    try:
        raise ValueError("no such\norder")
    except ValueError:
        structlog.get_logger().exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: no such" in json.loads(lines[0])["exception"]


def test_console_logs_are_masked_too(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", as_json=False)
    structlog.get_logger().debug("call", phone="13800138000")
    told = capsys.readouterr().err
    assert "call" in told
    assert "13800138000" not in told


@pytest.mark.parametrize(
    "key",
    ["phone", "buyer_phone", "email", "Authorization", "x-api-token", "webhook_secret", "name", "recipient_name"],
)
def test_telling_keys_are_masked_at_any_depth(key: str) -> None:
    event = {"event": "x", "request": {"items": [{key: "tell-tale"}]}}
    assert "tell-tale" not in json.dumps(redact(None, "info", event))


def test_other_values_stay_as_they_are() -> None:
    event = {"event": "x", "task_name": "ship", "temporal_address": "127.0.0.1:7233", "token_count": None, "ok": True}
    assert redact(None, "info", dict(event)) == event


def test_credentials_inside_text_are_masked() -> None:
    text = "Bearer abc.def and ofk_k1_s3cret and postgresql://u:pw@h/db"
    assert redact(None, "info", {"event": text})["event"] == "*** and *** and postgresql://u:***@h/db"


def test_what_errors_quote_of_rows_and_values_is_masked(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    try:
        raise ValueError("broken\nDETAIL:  Failing row contains (SO-1, 王小明, 13800000000).\nHINT: none")
    except ValueError:
        structlog.get_logger().exception("failed")
    said = "1 error [type=str, input_value={'name': '王小明'}, input_type=dict] and input_value='13800000000'"
    logging.getLogger("pydantic").error("refused: %s", said)
    raised, refused = map(json.loads, capsys.readouterr().err.splitlines())
    assert "DETAIL:  ***\nHINT: none" in raised["exception"]
    assert refused["event"] == "refused: 1 error [type=str, input_value=***, input_type=dict] and input_value=***"


def test_lines_of_the_sdk_have_their_ids_under_the_same_names(
    json_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", as_json=True)
    about = {"workflow_id": "order/SO2611-7KQ3M9TX", "run_id": "r-1", "attempt": 1}
    logging.getLogger("temporalio.workflow").warning("signal dropped", extra={"temporal_workflow": about})
    told = json.loads(capsys.readouterr().err)
    assert (told["order_no"], told["workflow_id"], told["run_id"]) == (
        "SO2611-7KQ3M9TX",
        "order/SO2611-7KQ3M9TX",
        "r-1",
    )
    assert "temporal_workflow" not in told

"""`orderflow demo` as a newcomer runs it: what it promises on its one line of JSON, and that nothing stays behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.local_stack.children import wait_until
from cli.local_stack.temporal import is_free
from tests.fakes.live_stack import settings_of
from tests.fakes.running_stack import ROOT, all_gone, free_port_base

DONE = {
    "lifecycle": "completed",
    "payment": "paid",
    "fulfilment": "delivered",
    "revenue": "full",
    "invoice": "full",
    "return": "none",
}
UNDONE = {
    "lifecycle": "cancelled",
    "payment": "refunded",
    "fulfilment": "cancelled",
    "revenue": "none",
    "invoice": "none",
    "return": "none",
}


@pytest.mark.timeout(240)
def test_demo_brings_every_sample_order_to_its_promised_end(tmp_path: Path) -> None:
    base = free_port_base()
    demo = _start(tmp_path, "--port-base", str(base), "--json")
    said, complaint = demo.communicate()
    assert demo.returncode == 0, complaint
    told = json.loads(said)
    assert (told["ok"], told["problems"]) == (True, [])
    orders = {order["name"]: order for order in told["orders"]}
    assert {name: {axis: order[axis] for axis in DONE} for name, order in orders.items()} == {
        "two parcels": DONE,
        "own coupon": DONE,
        "another currency": DONE,
        "cancelled": UNDONE,
        "held for stock": DONE,
        "held for its price": DONE,
        "big order": DONE,
        "presale, paid": DONE,
        "presale, missed": UNDONE | {"lifecycle": "expired", "payment": "forfeited"},
        "presale, paid late": UNDONE | {"lifecycle": "expired"},
        "sent back": DONE | {"payment": "refunded", "return": "full", "invoice": "none"},
        "exchanged": DONE | {"payment": "refunded", "return": "full", "invoice": "none"},
    }
    assert "approved by the superior" in orders["big order"]["happened"]
    assert orders["two parcels"]["warehouses"] == ["main", "south"]
    assert orders["another currency"]["currency"] == "USD"
    assert orders["held for stock"]["happened"][0] == "held: out of stock; 1 unit received"
    _check_books(told)
    ui = f"http://127.0.0.1:{base + 2}/namespaces/default/workflows"
    assert [order["link"] for order in told["orders"]] == [
        f"{ui}/order%2F{order['order_no']}" for order in told["orders"]
    ]
    [its_return] = orders["sent back"]["return_links"]
    assert its_return.startswith(f"{ui}/return%2FRT")
    assert all(map(is_free, range(base, base + 3)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_demo_that_is_called_off_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    base = free_port_base()
    demo = _start(tmp_path, "--port-base", str(base), "--json")
    itself = psutil.Process(demo.pid)
    assert wait_until(lambda: len(itself.children(recursive=True)) >= 3, 30)
    started = itself.children(recursive=True)
    for _ in range(3):
        demo.send_signal(signal.SIGINT)
    said, _complaint = demo.communicate()
    assert (demo.returncode, said) == (130, "")
    assert all_gone(started, 5)
    assert all(map(is_free, range(base, base + 3)))
    assert list(tmp_path.iterdir()) == []


def _check_books(told: dict[str, Any]) -> None:
    cancelled, trial = told["cancelled_accounts"], told["trial_balance"]
    assert len(cancelled["data"]) >= 3
    assert [account["balance_minor"] for account in cancelled["data"]] == [0] * len(cancelled["data"])
    assert trial["debit_minor"] == trial["credit_minor"] > 0
    # 7 delivered orders that nothing came back of, and what the exchange sent: net of 13 % tax, and the dollars at 7.
    gross = [35_400, 38_700, 5_400 * 7, 68_000, 25_600, 6_400_000, 36_800, 29_900]
    revenue = next(account for account in trial["data"] if account["role"] == "revenue")
    assert abs(-revenue["balance_minor"] - round(sum(gross) / 1.13)) <= len(gross)


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    # Its temporary folder is ours to look into.
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", *arguments],
        cwd=ROOT,
        env=settings_of() | {"TMPDIR": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

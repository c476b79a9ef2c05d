"""Flows kept in git and brought to a running system by `orderflow flow`."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.factories.sales import a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import settings_of
from tests.fakes.running_stack import ROOT, RunningStack

Write = Callable[..., Path]


@pytest.fixture
def key() -> str:
    return f"kept_in_git_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def write(tmp_path: Path, key: str) -> Write:
    """The normal flow as a file of its own for one seller's orders, with fields of its payment changed."""

    def written(name: str = "flow.yaml", **pay: Any) -> Path:
        document = yaml.safe_load((ROOT / "flows" / "normal.yaml").read_text("utf-8"))
        document |= {"key": key, "match": {"priority": 900, "when": f"order.salesperson == '{key}'"}}
        document["nodes"]["pay"] |= pay
        file = tmp_path / name
        file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return file

    return written


async def run(word: str, file: Path, *options: str) -> tuple[int, str]:
    """Exit status and all that was said."""
    command = [sys.executable, "-P", "-m", "cli.main", "flow", word, str(file), *options]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=settings_of(), capture_output=True, text=True, timeout=240
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(600)
async def test_file_is_checked_compared_and_published_and_orders_take_it(
    stack: RunningStack, caller: Caller, sku: str, open_dir: Path, key: str, write: Write
) -> None:
    here = ("--data", str(open_dir / "journeys"))
    file = write()
    assert await run("validate", file) == (0, "flow.yaml: nothing is wrong\n")
    status, said = await run("diff", file, *here)
    assert status == 3
    assert f'~ key: nothing -> "{key}"' in said
    assert "+ reserve" in said

    status, said = await run("publish", file, "--reason", "first", *here)
    assert (status, said.splitlines()[-1]) == (0, f"{key} version 1 is published")
    assert [line for line in said.splitlines() if line.startswith("passed: ")]
    assert await run("diff", file, *here) == (0, "the same as version 1\n")
    first = await caller.place(a_sale(sku, salesperson=key))

    newer = write("newer.yaml", timeout="PT48H", remind=["PT47H"])
    status, said = await run("diff", newer, *here)
    assert (status, said.splitlines()) == (
        3,
        ["~ pay", '    remind: ["PT23H"] -> ["P1DT23H"]', '    timeout: "P1D" -> "P2D"'],
    )
    address = ("--api", stack.facts["api"], "--token", caller.token("operations"))
    status, said = await run("publish", newer, "--reason", "two days to pay", *address)
    assert (status, said.splitlines()[-1]) == (0, f"{key} version 2 is published")
    second = await caller.place(a_sale(sku, salesperson=key))
    other = await caller.place(a_sale(sku))
    flows = [(await caller.order(number))["flow"] for number in (first, second, other)]
    assert [(flow["key"], flow["version"]) for flow in flows] == [(key, 1), (key, 2), ("normal", 1)]
    changes = (await caller.read(f"/v1/flows/{key}/history"))["data"]
    assert {change["reason"] for change in changes if change["kind"] == "published"} == {"first", "two days to pay"}


@pytest.mark.timeout(600)
async def test_what_is_wrong_is_not_published_and_nobodys_drawing_is_lost(
    stack: RunningStack, caller: Caller, open_dir: Path, key: str, write: Write
) -> None:
    here = ("--data", str(open_dir / "journeys"))
    broken = write("broken.yaml", next="nowhere")
    status, said = await run("validate", broken)
    assert (status, said.splitlines()[-1][:11]) == (3, "broken.yaml")
    status, said = await run("publish", broken, "--reason", "try", *here)
    assert status == 3
    assert "pay: dangling_link: " in said
    assert (await caller.ask("GET", f"/v1/flows/{key}")).status_code == 404

    weak = ("--api", stack.facts["api"], "--token", caller.token("gm"))
    status, said = await run("publish", write(), "--reason", "try", *weak)
    assert status == 1
    assert "(forbidden)" in said
    drawn = {"definition": yaml.safe_load(write().read_text("utf-8"))}
    saved = await caller.ask("PUT", f"/v1/flows/{key}/draft", "operations", json=drawn, headers={"If-None-Match": "*"})
    assert saved.status_code == 201, saved.text
    other = write(timeout="PT36H")
    status, said = await run("publish", other, "--reason", "try", *here)
    assert (status, said) == (1, "orderflow: operations is drawing this flow; --replace-draft replaces what is drawn\n")
    assert (await caller.read(f"/v1/flows/{key}/draft"))["sha256"] == saved.json()["sha256"]
    status, said = await run("publish", other, "--reason", "theirs is wrong", "--replace-draft", *here)
    assert (status, said.splitlines()[-1]) == (0, f"{key} version 1 is published")

"""The supervisor with real PostgreSQL and Temporal, killed in every way that a laptop knows."""

import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from temporalio.client import Client

from cli.local_stack.children import wait_until
from cli.local_stack.temporal import is_free
from tests.fakes.running_stack import RunningStack, all_gone, free_port_base, placeholder_command

StartStack = Callable[..., RunningStack]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orderflow stack "))
    folder.chmod(0o755)
    yield folder / "data of mine"
    shutil.rmtree(folder)


@pytest.fixture
def start_stack(data_dir: Path) -> Iterator[StartStack]:
    started: list[RunningStack] = []

    def start(port_base: int | None = None, **env: str) -> RunningStack:
        command = placeholder_command(data_dir, port_base or free_port_base())
        stack = RunningStack(command, os.environ | {"PYTHONPATH": "."} | env)
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.end(signal.SIGTERM)


def test_ready_stack_tells_its_addresses_and_stops_without_remains_on_sigterm(start_stack: StartStack) -> None:
    base = free_port_base()
    stack = start_stack(base).wait_ready(20)
    assert stack.facts["api"] == f"http://127.0.0.1:{base}"
    assert stack.facts["temporal_address"] == f"127.0.0.1:{base + 1}"
    assert stack.facts["temporal_ui"] == f"http://127.0.0.1:{base + 2}"
    assert stack.facts["tokens"] == {"admin": "ofk_test_token"}
    assert stack.facts["pids"] == stack.pids()
    processes = stack.processes()
    assert stack.end(signal.SIGTERM, timeout=30) == (0, "stopping\n")
    assert all_gone(processes, 0)
    assert all(map(is_free, range(base, base + 3)))


def test_stack_that_is_still_starting_stops_too(start_stack: StartStack) -> None:
    stack = start_stack()
    assert wait_until(lambda: "postgres" in stack.pids(), 10)
    processes = stack.processes()
    assert stack.end(signal.SIGTERM) == (0, "stopping\n")
    assert all_gone(processes, 0)


def test_two_interrupts_at_once_are_one_wish(start_stack: StartStack) -> None:
    stack = start_stack().wait_ready(20)
    processes = stack.processes()
    stack.process.send_signal(signal.SIGINT)
    assert stack.end(signal.SIGINT) == (0, "stopping\n")
    assert all_gone(processes, 0)


def test_foreign_environment_does_no_harm(start_stack: StartStack) -> None:
    foreign = {
        "LC_ALL": "xx_YY.UTF-8",
        "LANG": "xx_YY.UTF-8",
        "PGPORT": "1",
        "PGHOST": "nowhere.invalid",
        "TEMPORAL_ADDRESS": "nowhere.invalid:1",
        "TEMPORAL_NAMESPACE": "theirs",
    }
    stack = start_stack(**foreign).wait_ready(20)
    assert _row_count(stack, "SELECT 1") == 1
    assert stack.end()[0] == 0


async def test_each_killed_part_comes_back_with_its_data(start_stack: StartStack) -> None:
    stack = start_stack().wait_ready(20)
    _execute(stack, "CREATE TABLE kept AS SELECT 1 AS id")
    await _start_workflow(stack, "order/kept")
    first = stack.pids()
    assert set(first) == {"postgres", "temporal", "worker", "api"}
    for pid in first.values():
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: set(stack.pids()) == set(first) and not set(stack.pids().values()) & {*first.values()}, 8)
    assert wait_until(lambda: _answers(stack), 8)
    assert _row_count(stack, "SELECT id FROM kept") == 1
    assert await _is_running(stack, "order/kept")
    status, said = stack.end()
    assert status == 0
    assert {line.split()[0] for line in said.splitlines()} == {"postgres", "temporal", "worker", "api", "stopping"}


async def test_killed_supervisor_leaves_nothing_that_harms_the_next_start(
    start_stack: StartStack, data_dir: Path
) -> None:
    base = free_port_base()
    stack = start_stack(base).wait_ready(20)
    _execute(stack, "CREATE TABLE kept AS SELECT 1 AS id")
    await _start_workflow(stack, "order/kept")
    old = stack.processes()
    stack.end(signal.SIGKILL)
    again = start_stack(base).wait_ready(20)
    assert all_gone(old, 3)
    assert _row_count(again, "SELECT id FROM kept") == 1
    assert await _is_running(again, "order/kept")


def test_pid_files_of_other_programs_are_left_alone(start_stack: StartStack, data_dir: Path) -> None:
    (data_dir / "run").mkdir(parents=True)
    ours = json.dumps({"pid": os.getpid(), "created": 0.0, "marker": "pytest"})
    for name in ("temporal", "worker", "api"):
        (data_dir / "run" / f"{name}.pid").write_text(ours)
    stack = start_stack().wait_ready(20)
    assert stack.end()[0] == 0


def test_second_start_on_the_same_data_is_refused_and_harms_nothing(start_stack: StartStack, data_dir: Path) -> None:
    first = start_stack().wait_ready(20)
    status, said = start_stack().end(signal.SIGCONT, timeout=60)
    assert status == 1
    assert said == (
        f"a local stack already runs on {data_dir} (process {first.process.pid}, {first.facts['api']}). "
        "Stop it, or choose another --data\n"
    )
    assert first.pids() == first.facts["pids"]


@pytest.mark.parametrize(("offset", "name"), [(0, "API"), (1, "Temporal"), (2, "Temporal Web UI")])
def test_taken_port_is_named(start_stack: StartStack, offset: int, name: str) -> None:
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base + offset)):
        status, said = start_stack(base).end(signal.SIGCONT, timeout=60)
    assert status == 1
    assert said.startswith(f"port {base + offset} ({name}) is taken by ")
    assert f"(process {os.getpid()})" in said


def test_part_that_cannot_start_ends_the_stack_with_its_own_words(start_stack: StartStack) -> None:
    stack = start_stack(PLACEHOLDER_WORKER="broken")
    status, said = stack.end(signal.SIGCONT, timeout=60)
    assert status == 1
    assert said.splitlines()[-1] == "worker does not start: this worker is broken"


def _execute(stack: RunningStack, statement: str) -> None:
    with psycopg.connect(_address(stack), autocommit=True) as connection:
        connection.execute(statement)


def _row_count(stack: RunningStack, query: str) -> int:
    with psycopg.connect(_address(stack)) as connection:
        return connection.execute(query).rowcount


def _address(stack: RunningStack) -> str:
    return str(stack.facts["database_url"]).replace("+psycopg", "", 1)


def _answers(stack: RunningStack) -> bool:
    try:
        return _row_count(stack, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


async def _start_workflow(stack: RunningStack, workflow_id: str) -> None:
    client = await Client.connect(stack.facts["temporal_address"])
    await client.start_workflow("Nothing", id=workflow_id, task_queue="nobody")


async def _is_running(stack: RunningStack, workflow_id: str) -> bool:
    client = await Client.connect(stack.facts["temporal_address"])
    status = (await client.get_workflow_handle(workflow_id).describe()).status
    return status is not None and status.name == "RUNNING"

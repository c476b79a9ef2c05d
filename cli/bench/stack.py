"""The stack that is measured: the local one, but for how hard it writes and for PostgreSQL counting its statements."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from cli.demo_stack import RunningDemo, free_port_base, running
from cli.dev import prepare_database, print_json
from cli.environment import DataOption, fail
from cli.local_stack import LocalStackError
from cli.local_stack.children import Child, Program, wait_until
from cli.local_stack.layout import DEFAULT_DATA_DIR
from cli.local_stack.stack import LocalStack, StackOptions

# A power cut may take what Temporal took last; whatever had come in is in PostgreSQL, and recovers the orders.
TEMPORAL_SYNCHRONOUS: Final = "NORMAL"
_COUNTING: Final = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
# Temporal's server, which is written in Go, collects its garbage when there is four times as much of it as of the rest,
# and earlier where it would hold more than this.
_SETTINGS: Final = {"ORDERFLOW_LOG_LEVEL": "warning", "GOGC": "400", "GOMEMLIMIT": "600MiB"}
_COMMAND: Final = ("-P", "-m", "cli.bench.stack")
_READY_WITHIN_S: Final = 60.0
_STOP_WITHIN_S: Final = 15.0


@contextmanager
def measured_stack(executable: str) -> Iterator[tuple[RunningDemo, Path]]:
    """A ready stack in a folder of its own, on free ports, and the folder in which its processes count.

    Afterwards all of it is gone. Raises LocalStackError.
    """
    with TemporaryDirectory(prefix="orderflow-counters-") as counters:
        settings = _SETTINGS | {"PROMETHEUS_MULTIPROC_DIR": counters}
        with running(None, free_port_base(), settings, (executable, *_COMMAND)) as stack:
            yield stack, Path(counters)


@contextmanager
def more_workers(executable: str, stack: RunningDemo, counters: Path, count: int) -> Iterator[dict[str, int]]:
    """So many worker processes more on the stack, at work: their pids by name. Afterwards they are gone.

    Raises LocalStackError.
    """
    with ExitStack() as at_work, TemporaryDirectory(prefix="orderflow-workers-") as folder:
        workers: dict[str, int] = {}
        for number in range(2, count + 2):
            ready, log = Path(folder) / f"{number}.ready", Path(folder) / f"{number}.log"
            kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERFLOW_")}
            told = {"PROMETHEUS_MULTIPROC_DIR": str(counters), "ORDERFLOW_READY_FILE": str(ready)}
            argv = (executable, "-P", "-m", "cli.main", "worker", "--data", str(stack.data_dir))
            child = Child(Program(f"worker {number}", argv, kept | _SETTINGS | told, log, stop_signal=signal.SIGTERM))
            at_work.callback(child.stop, _STOP_WITHIN_S)
            child.spawn()
            if not wait_until(ready.exists, _READY_WITHIN_S) or child.pid is None:
                raise LocalStackError(f"worker {number} does not start: {child.output()}")
            workers[f"worker_{number}"] = child.pid
        yield workers


def main(
    data: DataOption = DEFAULT_DATA_DIR,
    port_base: Annotated[int, typer.Option(min=1, max=65533)] = 8080,
    as_json: Annotated[bool, typer.Option("--json")] = False,  # noqa: ARG001 - taken as `orderflow dev` takes it
) -> None:
    """Runs until it is told to stop, as `orderflow dev` does."""
    options = StackOptions(
        Path(data),
        port_base,
        prepare_database,
        temporal_synchronous=TEMPORAL_SYNCHRONOUS,
        postgres_settings=_COUNTING,
    )
    try:
        LocalStack(options, lambda message: typer.echo(message, err=True)).run(print_json)
    except LocalStackError as problem:
        fail(str(problem))


if __name__ == "__main__":
    typer.run(main)

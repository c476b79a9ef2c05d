"""`orderflow import`: orders, payments and opening stock from files, through the API's own door."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.environment import DataOption, fail
from cli.local_stack.layout import DEFAULT_DATA_DIR, DataDir

if TYPE_CHECKING:
    from cli.importing.report import Part, Report
    from importing.items import Readout
    from importing.reading import Choice

FAILED: Final = 1
SOME_REFUSED: Final = 3
STOPPED: Final = 130
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Who brings what, where the local stack's own tokens are used: only the channel's may set prices.
_ROLES: Final[Mapping[str, str]] = {"stock": "admin", "orders": "channel", "payments": "channel"}


@dataclass(frozen=True)
class _Access:
    """Where the API is, and the token for each kind of file."""

    api: str
    tokens: Mapping[str, str]


@dataclass(frozen=True)
class _Effort:
    """How the sending is done and watched."""

    concurrency: int
    quiet: bool


def import_files(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Orders: CSV or .xlsx.")],
    payments: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Payments as CSV.")] = None,
    stock: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Goods receipts as CSV.")] = None,
    api: Annotated[str | None, typer.Option(metavar="URL", help="The API; without it the local stack's.")] = None,
    token: Annotated[str | None, typer.Option(help="API key; to set prices it needs the scope orders:priced.")] = None,
    data: DataOption = DEFAULT_DATA_DIR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the files; send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write every refusal and its reason.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Requests under way at once.")] = 4,
    sheet: Annotated[str | None, typer.Option(help="Excel: the sheet; without it the one with known headings.")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="Excel: holds for every row.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Excel: of its dates, such as Asia/Shanghai.")] = None,
) -> None:
    """Place orders from a file, with their payments and the stock they need. Safe to run again at any time.

    A bad row refuses its own order, payment or receipt and nothing else. What is there already stays as it is. An API
    that is away is waited for, up to ten minutes.

    Exit status: 0 everything is there; 3 something was refused, see the reasons (payments of zero are reported, but do
    not count); 1 the import could not be finished, run it again.
    """
    files = {"stock": stock, "orders": file, "payments": payments}
    done = _read(files, _choice(sheet, given or [], time_zone))
    done.dry_run = dry_run
    if not dry_run:
        _send(done, _access(api, token, data), _Effort(concurrency, quiet=as_json))
    _tell(done, report, as_json=as_json)
    raise typer.Exit(_status(done))


def _choice(sheet: str | None, given: Sequence[str], time_zone: str | None) -> "Choice":
    from zoneinfo import available_timezones

    from importing.columns import BY_NAME
    from importing.reading import Choice

    fixed = dict(one.partition("=")[::2] for one in given)
    fixable = [name for name, column in BY_NAME.items() if column.fixed]
    if unknown := [name for name, value in fixed.items() if name not in fixable or not value]:
        fail(f"--set cannot say {', '.join(unknown)}: it says one of {', '.join(fixable)}, as in --set currency=CNY")
    if time_zone is not None and time_zone not in available_timezones():
        fail(f"--time-zone: {time_zone} is no time zone of the IANA database")
    return Choice(sheet=sheet, fixed=fixed, time_zone=time_zone)


def _read(files: Mapping[str, Path | None], choice: "Choice") -> "Report":
    """Everything is read before anything is sent: a file that does not fit ends the command with nothing done."""
    from cli.importing.report import Part, Report
    from importing import orders, payments, stock
    from importing.reading import read_whole
    from importing.survey import is_excel
    from importing.table import UnusableFile

    def orders_in(raw: bytes, name: str) -> "Readout":
        return read_whole(raw, name, choice) if is_excel(raw) else orders.read(raw, name)

    readers: dict[str, Callable[[bytes, str], Readout]] = {
        "stock": stock.read,
        "orders": orders_in,
        "payments": payments.read,
    }
    try:
        parts = [Part(readers[subject](path.read_bytes(), path.name)) for subject, path in files.items() if path]
    except (UnusableFile, OSError) as unusable:
        fail(str(unusable))
    return Report(parts)


def _access(api: str | None, token: str | None, data: Path) -> _Access:
    from cli.access import local_tokens

    if api is not None:
        if token is None:
            fail("--api needs --token")
        return _Access(api, dict.fromkeys(_ROLES, token))
    running = DataDir(data.absolute()).running()
    if running is None or "database_url" not in running:
        fail(f"no API: start the local stack on {data} with `orderflow dev`, or give --api and --token")
    tokens = local_tokens(data)
    return _Access(running["api"], {subject: token or tokens[role] for subject, role in _ROLES.items()})


def _send(report: "Report", access: _Access, effort: _Effort) -> None:
    """Afterwards the report says what became of everything, or why the rest was not sent."""
    from cli.importing.door import GivenUp

    started = time.monotonic()
    try:
        asyncio.run(_send_all(report.parts, access, effort))
    except GivenUp as away:
        report.trouble = str(away)
    except KeyboardInterrupt:
        report.trouble = "stopped"
    report.seconds = time.monotonic() - started


async def _send_all(parts: Sequence["Part"], access: _Access, effort: _Effort) -> None:
    import httpx

    from cli.importing.door import Door
    from cli.importing.sending import Sending

    # A proxy of the environment does not lead back to this machine.
    trust_env = httpx.URL(access.api).host not in _LOCAL
    limits = httpx.Timeout(120.0, connect=5.0)
    async with httpx.AsyncClient(base_url=access.api, timeout=limits, trust_env=trust_env) as client:
        # Goods first, so that no order is held for stock that is only a file away; and money finds its order.
        for part in parts:
            started = time.monotonic()
            with _progress(part, quiet=effort.quiet) as advance:
                door = Door(client, access.tokens[part.subject])
                try:
                    await Sending(door.post, effort.concurrency, advance).send(
                        part.subject, part.read.items, part.outcome
                    )
                finally:
                    part.seconds.append(time.monotonic() - started)


@contextmanager
def _progress(part: "Part", *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Shows how far the part is, on a terminal; yields what is to be told of every step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(part.subject, total=len(part.read.items))
        yield lambda settled: progress.advance(task, settled)


def _tell(done: "Report", file: Path | None, *, as_json: bool) -> None:
    from rich.console import Console

    from cli.importing.report import show, write_refusals

    if as_json:
        typer.echo(json.dumps(done.as_json(), ensure_ascii=False))
    else:
        show(done, Console())
    if done.trouble is not None:
        typer.echo(f"orderflow: {done.trouble}. Not everything was sent; run the same command again", err=True)
    if file is not None:
        try:
            write_refusals(done, file)
        except OSError as unwritable:
            fail(f"the report cannot be written: {unwritable}")


def _status(done: "Report") -> int:
    if done.trouble == "stopped":
        return STOPPED
    if done.trouble is not None:
        return FAILED
    return SOME_REFUSED if done.lacks_something else 0

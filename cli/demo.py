"""`orderflow demo`: a local stack, the sample orders from their placing to their end, and what came of them."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from cli.environment import fail
from cli.local_stack import LocalStackError

if TYPE_CHECKING:
    from rich.console import Console

    from cli.demo_desk import Json
    from cli.demo_play import Result
    from cli.demo_scenes import Played
    from cli.demo_stack import RunningDemo

_STOPPED: Final = 130
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AXES: Final = ("lifecycle", "payment", "fulfilment", "revenue", "invoice", "return")


def demo(
    data: Annotated[Path | None, typer.Option("--data", help="Folder to keep; without it a fresh one.")] = None,
    port_base: Annotated[
        int | None, typer.Option(min=1, max=65533, help="Port of the API; without it the first that is free.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON, for programs.")] = False,
) -> None:
    """Start everything, run the sample orders to their end, and show what happened.

    Exit status: 0 everything came out as promised, 1 something did not, and it is said what.
    """
    from cli.demo_desk import DemoFailed
    from cli.demo_stack import free_port_base, running

    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    shown = False
    problems: list[str] = []
    try:
        base = port_base if port_base is not None else free_port_base()
        _say("starting PostgreSQL, Temporal, worker and API")
        with running(data, base) as stack:
            result = _played(stack)
            problems, shown = result.problems, True
            _tell(result, stack.facts, as_json=as_json)
            if keep:
                _stay(stack)
            _say("stopping")
    except (LocalStackError, DemoFailed) as failed:
        fail(str(failed))
    except KeyboardInterrupt:
        raise typer.Exit(int(bool(problems)) if keep and shown else _STOPPED) from None
    if problems:
        fail("not everything came out as promised: " + "; ".join(problems))


def _played(stack: "RunningDemo") -> "Result":
    import httpx

    from cli.access import local_tokens
    from cli.demo_desk import Desk
    from cli.demo_play import play

    # A proxy of the environment does not lead back to this machine.
    with httpx.Client(base_url=stack.facts["api"], timeout=30, trust_env=False) as client:
        run = f"{datetime.now(UTC):%y%m%d-%H%M%S}"
        return play(Desk(client, local_tokens(stack.data_dir), run), _say)


def _stay(stack: "RunningDemo") -> None:
    _say("everything stays up; Ctrl-C stops it")
    while stack.child.pid is not None:
        time.sleep(0.2)
    raise LocalStackError(f"the local stack has ended: {stack.child.output()}")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    # A terminal and `uv run` pass on the same Ctrl-C, and people in a hurry press it again: the end is on its way.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(message: str) -> None:
    typer.echo(f"orderflow: {message}", err=True)


def _tell(result: "Result", facts: "Json", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(result, facts), ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    _show_orders(result, facts, console)
    _show_accounts("Accounts of the cancelled order", result.undone, console)
    _show_accounts("Trial balance", result.trial, console)
    _show_addresses(facts, console)


def _as_json(result: "Result", facts: "Json") -> dict[str, Any]:
    return {
        "ok": not result.problems,
        "problems": result.problems,
        "orders": [_order_json(one, facts) for one in result.played],
        "cancelled_accounts": result.undone,
        "trial_balance": result.trial,
        "api": facts["api"],
        "temporal_ui": facts["temporal_ui"],
        "seconds": round(result.seconds, 1),
    }


def _order_json(one: "Played", facts: "Json") -> dict[str, Any]:
    return {
        "name": one.sample.name,
        "story": one.sample.story,
        **{name: one.order[name] for name in ("order_no", *_AXES, "voucher_no", "currency")},
        "total_minor": one.order["totals"]["total_minor"],
        "happened": one.happened,
        "warehouses": sorted(parcel["warehouse"] for parcel in one.shipments),
        "invoice_nos": one.invoice_nos,
        "problems": one.problems,
        "link": _link(f"order%2F{one.order_no}", facts),
        "return_links": [_link(f"return%2F{return_no}", facts) for return_no in one.return_nos],
    }


def _link(workflow_id: str, facts: "Json") -> str:
    return f"{facts['temporal_ui']}/namespaces/default/workflows/{workflow_id}"


def _show_orders(result: "Result", facts: "Json", console: "Console") -> None:
    from rich.table import Table

    from domain.money import to_decimal_text

    table = Table(title="What happened", show_lines=True)
    table.add_column("order, voucher,\ninvoice", no_wrap=True)
    table.add_column("what happened")
    table.add_column("how it stands", no_wrap=True)
    for one in result.played:
        order = one.order
        total = f"{to_decimal_text(order['totals']['total_minor'], order['currency'])} {order['currency']}"
        happened = "\n".join([one.sample.story, *(f"- {what}" for what in one.happened)])
        table.add_row(
            "\n".join([f"[bold]{one.sample.name}[/]", one.order_no, total, order["voucher_no"], *one.invoice_nos]),
            happened + "".join(f"\n[red]not as promised: {problem}[/]" for problem in one.problems),
            "\n".join(f"{axis} {order[axis]}" for axis in _AXES),
        )
    console.print(table)
    console.print("In Temporal's Web UI:")
    for one in result.played:
        console.print(f"  {one.sample.name:<24} {_link(f'order%2F{one.order_no}', facts)}", soft_wrap=True)
        for return_no in one.return_nos:
            console.print(f"  {'  its return':<24} {_link(f'return%2F{return_no}', facts)}", soft_wrap=True)


def _show_accounts(title: str, balances: "Json", console: "Console") -> None:
    from rich.table import Table

    from domain.money import to_decimal_text

    currency = balances["functional_currency"]
    table = Table(title=f"{title}, {currency}", title_justify="left")
    for heading in ("account", "role", "debit", "credit", "balance"):
        table.add_column(heading, justify="left" if heading in ("account", "role") else "right")
    for one in balances["data"]:
        amounts = (one["debit_minor"], one["credit_minor"], one["balance_minor"])
        table.add_row(one["account"], one["role"], *(to_decimal_text(minor, currency) for minor in amounts))
    table.add_section()
    debit, credit = balances["debit_minor"], balances["credit_minor"]
    table.add_row("", "sum", *(to_decimal_text(minor, currency) for minor in (debit, credit, debit - credit)))
    console.print(table)


def _show_addresses(facts: "Json", console: "Console") -> None:
    for name, address in {"API": facts["api"], "API documentation": f"{facts['api']}/docs"}.items():
        console.print(f"{name:<18} {address}", soft_wrap=True)
    console.print(f"{'Temporal Web UI':<18} {facts['temporal_ui']}", soft_wrap=True)

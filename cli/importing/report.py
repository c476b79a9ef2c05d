"""What an import came to: for people as tables, for programs as JSON, and every refusal as a row of CSV."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from api.csv_body import guarded
from cli.importing.sending import Outcome
from domain.money import to_decimal_text
from importing.items import ORDERS, PAYMENTS, STOCK, Item, Readout, Refusal

if TYPE_CHECKING:
    from rich.console import Console

_TAKEN: Final[Mapping[str, str]] = {STOCK: "received", ORDERS: "placed", PAYMENTS: "recorded"}
_FOUND: Final[Mapping[str, str]] = {STOCK: "receipts", ORDERS: "orders", PAYMENTS: "payments"}
_REASONS_SHOWN: Final = 10
REPORT_COLUMNS: Final = ("file", "item", "row", "column", "code", "reason", "cell")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the import: what was read, what became of it, and how long sending it took."""

    read: Readout
    outcome: Outcome = field(default_factory=Outcome)
    seconds: list[float] = field(default_factory=list)

    @property
    def subject(self) -> str:
        return self.read.subject

    @property
    def refused(self) -> list[Refusal]:
        return [*self.read.refused, *self.outcome.refused]

    @property
    def not_sent(self) -> int:
        return len(self.read.items) - self.outcome.settled

    def per_second(self) -> float | None:
        """Items settled in a second of sending."""
        spent = sum(self.seconds)
        return round(self.outcome.settled / spent, 1) if spent and self.outcome.settled else None

    def as_json(self, *, dry_run: bool) -> dict[str, Any]:
        outcome = self.outcome
        there = self.read.items if dry_run else [*outcome.taken, *outcome.repeated]
        told: dict[str, Any] = {"rows": self.read.rows, _FOUND[self.subject]: self.found}
        told |= {_TAKEN[self.subject]: len(outcome.taken), "already_there": len(outcome.repeated)}
        told |= {"refused": len(self.refused), "not_sent": self.not_sent}
        if self.subject == STOCK:
            return told | {"lines": sum(len(item.body["lines"]) for item in there), "units": _units(there)}
        return told | {"totals_minor": totals(there)}

    @property
    def found(self) -> int:
        """Orders, payments or receipts in the file, refused ones included."""
        return len(self.read.items) + len(self.read.refused)


@dataclass(slots=True)
class Report:
    """The whole import. `trouble` says why it ended before everything was settled."""

    parts: list[Part]
    dry_run: bool = False
    seconds: float = 0.0
    trouble: str | None = None

    @property
    def refusals(self) -> list[Refusal]:
        return [refusal for part in self.parts for refusal in part.refused]

    @property
    def lacks_something(self) -> bool:
        """Whether something of the files is not there now that somebody meant to be there."""
        return any(not refusal.is_moneyless for refusal in self.refusals)

    def as_json(self) -> dict[str, Any]:
        parts: dict[str, Any] = {part.subject: part.as_json(dry_run=self.dry_run) for part in self.parts}
        rates = {part.subject: part.per_second() for part in self.parts}
        refusals = [
            {
                "file": refusal.subject,
                "item": refusal.key,
                "rows": list(refusal.rows),
                "problems": [
                    {"row": one.row, "column": one.column, "code": one.code, "reason": one.reason}
                    | ({"cell": cell} if (cell := part.read.cell(one)) else {})
                    for one in refusal.problems
                ],
            }
            for part in self.parts
            for refusal in part.refused
        ]
        return {
            "dry_run": self.dry_run,
            **parts,
            "seconds": round(self.seconds, 2),
            "orders_per_second": rates.get(ORDERS),
            "refusals": refusals,
            "trouble": self.trouble,
        }


def totals(items: list[Item] | tuple[Item, ...]) -> dict[str, int]:
    """Minor units per currency."""
    summed: Counter[str] = Counter()
    for item in items:
        summed[item.currency] += item.amount_minor
    return dict(sorted(summed.items()))


def _units(items: list[Item] | tuple[Item, ...]) -> int:
    return sum(line["quantity"] for item in items for line in item.body["lines"])


def write_refusals(report: Report, file: Path) -> None:
    """Afterwards the file has one row for each reason why something was refused; no spreadsheet executes a cell."""
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(REPORT_COLUMNS)
        writer.writerows([guarded(cell) for cell in cells] for cells in _rows(report))


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    for part in report.parts:
        for refusal in part.refused:
            for one in refusal.problems:
                row = str(one.row if one.row is not None else refusal.rows[0])
                cell = part.read.cell(one)
                yield refusal.subject, refusal.key, row, one.column or "", one.code, one.reason, cell


def show(report: Report, console: "Console") -> None:
    """Prints the summary with the totals per currency, and the first reasons."""
    from rich.table import Table

    table = Table(title="What would be sent" if report.dry_run else "Import")
    table.add_column("")
    for part in report.parts:
        table.add_column(part.subject, justify="right", no_wrap=True)
    measured = [_measures(part, dry_run=report.dry_run) for part in report.parts]
    for name in measured[0]:
        table.add_row(name, *(measures[name] for measures in measured))
    console.print(table)
    _show_reasons(report, console)
    if not report.dry_run:
        console.print(f"{report.seconds:.1f} s")


def _measures(part: Part, *, dry_run: bool) -> dict[str, str]:
    told = part.as_json(dry_run=dry_run)
    measures = {"rows": str(told["rows"]), "found": str(part.found), "refused": str(told["refused"])}
    if dry_run:
        measures["would be sent"] = str(told["not_sent"])
    else:
        sent = {"new": told[_TAKEN[part.subject]], "already there": told["already_there"], "not sent": told["not_sent"]}
        measures |= {name: str(count) for name, count in sent.items()}
        measures["per second"] = str(part.per_second() or "-")
    if part.subject == STOCK:
        amounts = [f"{told['units']} units of {told['lines']} SKUs"]
    else:
        amounts = [f"{to_decimal_text(minor, code)} {code}" for code, minor in told["totals_minor"].items()]
    return measures | {"total": "\n".join(amounts)}


def _show_reasons(report: Report, console: "Console") -> None:
    refusals = [(part, refusal) for part in report.parts for refusal in part.refused]
    for part, refusal in refusals[:_REASONS_SHOWN]:
        first = refusal.problems[0]
        where = part.read.cell(first) or f"row {first.row}"
        where += f", {first.column}" if first.column else ""
        more = f" (and {len(refusal.problems) - 1} more)" if len(refusal.problems) > 1 else ""
        console.print(f"refused: {refusal.subject} {refusal.key}: {where}: {first.reason}{more}", markup=False)
    if len(refusals) > _REASONS_SHOWN:
        console.print(f"and {len(refusals) - _REASONS_SHOWN} more refused; --report FILE.csv lists them all")

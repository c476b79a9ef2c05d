"""Journal entries that cannot be unbalanced, and the small arithmetic on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import DomainError
from domain.money import InvalidAmount
from domain.posting.roles import Role


class Side(StrEnum):
    """The side of an account a line stands on."""

    DEBIT = "debit"
    CREDIT = "credit"

    @property
    def other(self) -> "Side":
        return Side.CREDIT if self is Side.DEBIT else Side.DEBIT


class UnbalancedEntry(DomainError):
    """The lines are fewer than two, not all above zero, or their debits are not their credits."""

    code = "unbalanced_entry"


@dataclass(frozen=True, slots=True)
class Line:
    """`minor` units of the document's currency on one side of one role."""

    role: Role
    side: Side
    minor: int

    @property
    def signed_minor(self) -> int:
        """The amount with debits positive and credits negative."""
        return self.minor if self.side is Side.DEBIT else -self.minor


@dataclass(frozen=True, slots=True)
class Entry:
    """One posting of one event, in one currency. Debits equal credits, or it cannot be made (`UnbalancedEntry`)."""

    event: str
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        signed = [line.signed_minor for line in self.lines]
        if len(signed) < 2 or sum(signed) != 0 or any(line.minor <= 0 for line in self.lines):
            raise UnbalancedEntry(f"the entry {self.event!r} does not balance", event=self.event)


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of one role's balance, debit positive, not yet part of an entry; it may be zero."""

    role: Role
    signed_minor: int


def dr(role: Role, minor: int) -> Movement:
    """A debit of zero or more minor units."""
    return Movement(role, _not_negative(role, minor))


def cr(role: Role, minor: int) -> Movement:
    """A credit of zero or more minor units."""
    return Movement(role, -_not_negative(role, minor))


def _not_negative(role: Role, minor: int) -> int:
    if minor < 0:
        raise InvalidAmount("a debit or credit is zero or more", role=role, minor=minor)
    return minor


def entry_of(event: str, *movements: Movement) -> Entry | None:
    """The entry of all movements, one line per role, debits first; None if nothing moves. Raises `UnbalancedEntry`."""
    net: dict[Role, int] = {}
    for movement in movements:
        net[movement.role] = net.get(movement.role, 0) + movement.signed_minor
    debits = [Line(role, Side.DEBIT, minor) for role, minor in net.items() if minor > 0]
    credits_ = [Line(role, Side.CREDIT, -minor) for role, minor in net.items() if minor < 0]
    return Entry(event, (*debits, *credits_)) if debits or credits_ else None


def some(*entries: Entry | None) -> tuple[Entry, ...]:
    """The entries that have something to post, in order."""
    return tuple(entry for entry in entries if entry is not None)


def reversal_of(entry: Entry, event: str) -> Entry:
    """The mirror of an entry: together they leave every account as it was."""
    return Entry(event, tuple(Line(line.role, line.side.other, line.minor) for line in entry.lines))


def balances_of(entries: Iterable[Entry]) -> dict[Role, int]:
    """The balance of every role the entries touch, debit positive, in minor units."""
    balances: dict[Role, int] = {}
    for entry in entries:
        for line in entry.lines:
            balances[line.role] = balances.get(line.role, 0) + line.signed_minor
    return balances

"""Returns: who may send what back, when that needs nobody's consent, and what the warehouse may take in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Self

from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode
from domain.order_number import base32


class ReturnState(StrEnum):
    """How far a return has come. Goods are waited for while it is approved."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CLOSED = "closed"


OPEN = frozenset({ReturnState.REQUESTED, ReturnState.APPROVED})

_A_DAY = {"timeout": "P1D", "remind": ["PT12H", "-PT2H"], "keep_previous": True}
CONSENT = ApprovalNode.model_validate(
    {
        "kind": "approval",
        "assignees": [{"role": "service"}],
        "timeout": "P1D",
        "remind": ["PT12H", "-PT2H"],
        "escalate": [{"to": [{"role": "manager"}], **_A_DAY}, {"to": [{"role": "gm"}], **_A_DAY}],
        "comment_required": ["rejected"],
        "outcomes": {"approved": "approved", "rejected": "rejected"},
    }
)
"""Who is asked about a return that the rule does not approve, and for how long."""

RETURN_REASONS: Mapping[str, tuple[str, str]] = {
    "changed_mind": ("不想要了", "The buyer does not want it any more"),
    "damaged": ("破损", "It arrived damaged"),
    "defective": ("质量问题", "It does not work"),
    "wrong_item": ("发错货", "Another thing was sent"),
    "not_as_described": ("与描述不符", "It is not what was described"),
    "other": ("其他", "Another reason"),
}


class ReturnNotOpen(DomainError):
    """The return is not where this can be done: it was decided before, has ended, or waits for a decision."""

    code = "return_not_open"


class MoreThanAnnounced(DomainError):
    """More units came than the return announces, or of a line that it does not."""

    code = "more_than_announced"


class NotReturnable(DomainError):
    """Fewer units have arrived, and are neither refunded nor announced in another return, than are to come back."""

    code = "not_returnable"


def return_number(order_no: str, return_id: str) -> str:
    """`RT` and 80 bits of a hash: the same request always names the same return."""
    return "RT" + base32(sha256(f"{order_no}\x1f{return_id}".encode()).digest())


def what_is_asked(return_no: str, units: Mapping[str, int], worth_minor: int) -> str:
    """What people are asked to let come back, in ids and figures: their approval is of this and of nothing else."""
    lines = ", ".join(f"{quantity} of line {line_id}" for line_id, quantity in sorted(units.items()))
    return f"return {return_no}: {lines}, worth {worth_minor}"


@dataclass(frozen=True, slots=True)
class ReturnPolicy:
    """What a legal entity takes back without asking anybody, and how long it waits for the goods."""

    window: timedelta
    approved_below_minor: int
    """In its functional currency."""
    goods_within: timedelta

    def scaled(self, factor: float) -> Self:
        """The same with every span `factor` times as long, as flows are scaled."""
        return replace(self, window=self.window * factor, goods_within=self.goods_within * factor)

    def approves(self, worth_minor: int, delivered_at: Sequence[datetime], at: datetime) -> bool:
        """Whether the return needs no decision: it is worth less, and all its goods arrived not too long ago."""
        return worth_minor < self.approved_below_minor and all(at - since <= self.window for since in delivered_at)


@dataclass(frozen=True, slots=True)
class Announced:
    """A line of a return: units that are to come back, and those that have."""

    line_id: str
    quantity: int
    received: int = 0


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the warehouse found of a line: units to sell again, units that are damaged, and units it does not accept."""

    line_id: str
    resellable: int = 0
    damaged: int = 0
    refused: int = 0

    @property
    def accepted(self) -> int:
        return self.resellable + self.damaged

    @property
    def received(self) -> int:
        return self.accepted + self.refused


def check_returnable(wanted: Mapping[str, int], returnable: Mapping[str, int]) -> None:
    """Raises `NotReturnable` where more is to come back of a line than can."""
    short = sorted(line_id for line_id, units in wanted.items() if units > returnable.get(line_id, 0))
    if short:
        raise NotReturnable(line_id=short[0], returnable=returnable.get(short[0], 0))


def received_of(announced: Sequence[Announced], found: Sequence[Inspected]) -> bool:
    """Whether all that was announced has come once `found` has. Raises `MoreThanAnnounced`."""
    left = {line.line_id: line.quantity - line.received for line in announced}
    for line in found:
        left[line.line_id] = left.get(line.line_id, 0) - line.received
        if left[line.line_id] < 0:
            raise MoreThanAnnounced(line_id=line.line_id)
    return not any(left.values())

"""How far a parcel has come, whatever order its carrier's reports arrive in."""

from dataclasses import dataclass
from enum import StrEnum


class ParcelStatus(StrEnum):
    """`created` is known to us alone; from `handed_over` on the units are out of our hands.

    One that was lost, or has come back, is `given_up` when its units are sent anew, or not at all any more.
    """

    CREATED = "created"
    BOOKED = "booked"
    HANDED_OVER = "handed_over"
    IN_TRANSIT = "in_transit"
    LOST = "lost"
    RETURNED = "returned"
    DELIVERED = "delivered"
    VOIDED = "voided"
    GIVEN_UP = "given_up"


class ScanStatus(StrEnum):
    """What a carrier can report about a parcel."""

    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    LOST = "lost"
    RETURNED = "returned"

    @property
    def reaches(self) -> ParcelStatus:
        """The status of a parcel that this is the furthest report of."""
        return ParcelStatus.HANDED_OVER if self is ScanStatus.PICKED_UP else ParcelStatus(self.value)


# A lost parcel may turn up: it goes on to be delivered or to come back, and the order of the reports does not matter.
_STAGE = {
    ParcelStatus.CREATED: 0,
    ParcelStatus.BOOKED: 1,
    ParcelStatus.HANDED_OVER: 2,
    ParcelStatus.IN_TRANSIT: 3,
    ParcelStatus.LOST: 4,
    ParcelStatus.RETURNED: 5,
    ParcelStatus.DELIVERED: 5,
}
VOIDABLE = frozenset({ParcelStatus.CREATED, ParcelStatus.BOOKED})
FAILED = frozenset({ParcelStatus.LOST, ParcelStatus.RETURNED})
# The order's units do not lie in these any more.
EMPTY = frozenset({ParcelStatus.VOIDED, ParcelStatus.GIVEN_UP})
ENDED = FAILED | EMPTY | {ParcelStatus.DELIVERED}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a report takes a parcel; `hands_over`: its units leave the warehouse with this report."""

    status: ParcelStatus
    hands_over: bool


def progress(status: str, scanned: ScanStatus) -> Progress | None:
    """What the report changes: None when the parcel is further already, or empty to us. It never moves back."""
    current, reached = ParcelStatus(status), scanned.reaches
    if current in EMPTY or _STAGE[reached] <= _STAGE[current]:
        return None
    return Progress(reached, hands_over=current in VOIDABLE)

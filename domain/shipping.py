"""How far a parcel has come, whatever order its carrier's reports arrive in."""

from dataclasses import dataclass
from enum import StrEnum


class ParcelStatus(StrEnum):
    """`created` is known to us alone; from `handed_over` on the units are out of our hands."""

    CREATED = "created"
    BOOKED = "booked"
    HANDED_OVER = "handed_over"
    IN_TRANSIT = "in_transit"
    LOST = "lost"
    RETURNED = "returned"
    DELIVERED = "delivered"
    VOIDED = "voided"


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
ENDED = frozenset({ParcelStatus.LOST, ParcelStatus.RETURNED, ParcelStatus.DELIVERED, ParcelStatus.VOIDED})


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a report takes a parcel; `hands_over`: its units leave the warehouse with this report."""

    status: ParcelStatus
    hands_over: bool


def progress(status: str, scanned: ScanStatus) -> Progress | None:
    """What the report changes: None when the parcel is further already, or was voided. It never moves back."""
    current, reached = ParcelStatus(status), scanned.reaches
    if current is ParcelStatus.VOIDED or _STAGE[reached] <= _STAGE[current]:
        return None
    return Progress(reached, hands_over=current in VOIDABLE)

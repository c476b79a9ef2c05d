from itertools import permutations

import pytest

from domain.shipping import ParcelStatus, Progress, ScanStatus, progress


def ends_as(*scans: ScanStatus, begins: ParcelStatus = ParcelStatus.BOOKED) -> tuple[ParcelStatus, int]:
    """Where the parcel ends, and how often it was handed over on the way."""
    status, hand_overs = begins, 0
    for scan in scans:
        step = progress(status, scan)
        if step is not None:
            status, hand_overs = step.status, hand_overs + step.hands_over
    return status, hand_overs


@pytest.mark.parametrize("begins", [ParcelStatus.CREATED, ParcelStatus.BOOKED])
@pytest.mark.parametrize("scan", list(ScanStatus))
def test_any_first_report_says_that_the_carrier_has_the_parcel(begins: ParcelStatus, scan: ScanStatus) -> None:
    assert progress(begins, scan) == Progress(scan.reaches, hands_over=True)


@pytest.mark.parametrize(
    "scans",
    [
        (ScanStatus.PICKED_UP, ScanStatus.IN_TRANSIT, ScanStatus.DELIVERED),
        (ScanStatus.PICKED_UP, ScanStatus.IN_TRANSIT, ScanStatus.LOST, ScanStatus.DELIVERED),
        (ScanStatus.PICKED_UP, ScanStatus.LOST, ScanStatus.RETURNED),
    ],
)
def test_the_order_of_reports_does_not_matter(scans: tuple[ScanStatus, ...]) -> None:
    ends = {ends_as(*order) for order in permutations(scans)}
    assert ends == {(scans[-1].reaches, 1)}


@pytest.mark.parametrize("scan", list(ScanStatus))
def test_a_voided_parcel_moves_no_more(scan: ScanStatus) -> None:
    assert progress(ParcelStatus.VOIDED, scan) is None


@pytest.mark.parametrize("ended", [ParcelStatus.DELIVERED, ParcelStatus.RETURNED])
@pytest.mark.parametrize("scan", list(ScanStatus))
def test_a_parcel_that_has_arrived_somewhere_moves_no_more(ended: ParcelStatus, scan: ScanStatus) -> None:
    assert progress(ended, scan) is None

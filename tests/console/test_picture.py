"""An order's story as a picture: lanes, dots, the time between them, and names that do not lie on each other."""

from datetime import UTC, datetime, timedelta

from api.orders.story import EventView
from console.orders.picture import picture_of

BEGAN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _events(*kinds: str, apart: timedelta = timedelta(seconds=1)) -> list[EventView]:
    nobody: dict[str, object] = {"on_behalf_of": None, "source": "workflow", "node": None, "reason": None, "data": {}}
    return [
        EventView.model_validate({"seq": at + 1, "kind": kind, "at": BEGAN + apart * at, "actor": "orderflow"} | nobody)
        for at, kind in enumerate(kinds)
    ]


def test_every_event_has_its_dot_in_the_lane_of_its_subject() -> None:
    picture = picture_of(
        _events("order.received", "order.held", "payment.received", "stock.reserved", "invoice.issued")
    )
    assert [dot.lane for dot in picture.dots] == ["order", "people", "money", "goods", "books"]
    assert [dot.bad for dot in picture.dots] == [False, True, False, False, False]
    assert [dot.x for dot in picture.dots] == sorted({dot.x for dot in picture.dots})
    assert all(0 < dot.x < picture.width and 0 < dot.y < picture.height for dot in picture.dots)
    assert picture.path.startswith(f"M{picture.dots[0].x},{picture.dots[0].y} L")


def test_time_is_told_where_some_has_passed() -> None:
    assert picture_of(_events("order.received", "order.accepted")).gaps == []
    (gap,) = picture_of(_events("order.received", "order.accepted", apart=timedelta(hours=2))).gaps
    assert gap.seconds == 7200


def test_names_of_neighbours_stand_on_different_sides() -> None:
    first, second, third = picture_of(_events("shipment.booked", "shipment.handed_over", "shipment.delivered")).dots
    assert first.label_y == third.label_y != second.label_y


def test_a_long_story_shows_its_end_and_an_empty_one_its_lanes() -> None:
    long = picture_of(_events(*["order.waiting"] * 100))
    assert (len(long.dots), long.left_out, long.dots[-1].seq, long.named) == (60, 40, 100, False)
    empty = picture_of([])
    assert (empty.path, len(empty.lanes), empty.left_out) == ("", 5, 0)

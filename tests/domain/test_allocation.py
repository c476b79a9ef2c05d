import pytest

from domain.allocation import Allocation, Shortage, WantedLine, allocate
from domain.errors import DomainError
from domain.pricing import InvalidGift, InvalidQuantity

WAREHOUSES = ["east", "north", "west"]


def free(**levels: dict[str, int]) -> dict[tuple[str, str], int]:
    return {(sku, warehouse): units for warehouse, by_sku in levels.items() for sku, units in by_sku.items()}


def test_single_warehouse_with_everything_is_preferred_by_priority() -> None:
    lines = [WantedLine("1", "B", 1), WantedLine("2", "A", 2)]
    levels = free(east={"A": 5}, north={"A": 2, "B": 1}, west={"A": 9, "B": 9})
    assert allocate(lines, levels, WAREHOUSES) == [
        Allocation("2", "A", "north", 2),
        Allocation("1", "B", "north", 1),
    ]


def test_fewest_warehouses_are_used_where_no_single_one_has_everything() -> None:
    lines = [WantedLine("1", "A", 1), WantedLine("2", "B", 1), WantedLine("3", "C", 1)]
    levels = free(east={"A": 1}, north={"A": 1, "B": 1}, west={"C": 1})
    assert allocate(lines, levels, WAREHOUSES) == [
        Allocation("1", "A", "north", 1),
        Allocation("2", "B", "north", 1),
        Allocation("3", "C", "west", 1),
    ]


def test_gift_stays_with_its_parent() -> None:
    lines = [WantedLine("1", "A", 1), WantedLine("g", "G", 1, gift_of="1"), WantedLine("2", "B", 1)]
    levels = free(east={"A": 1, "B": 1}, north={"A": 1, "G": 1})
    assert allocate(lines, levels, WAREHOUSES) == [
        Allocation("1", "A", "north", 1),
        Allocation("2", "B", "east", 1),
        Allocation("g", "G", "north", 1),
    ]


def test_gift_that_no_warehouse_has_with_its_parent_is_a_shortage() -> None:
    lines = [WantedLine("1", "A", 2), WantedLine("g", "G", 2, gift_of="1")]
    levels = free(east={"A": 2}, north={"G": 2}, west={"A": 2, "G": 1})
    assert allocate(lines, levels, WAREHOUSES) == Shortage({"G": 1})


def test_line_is_split_only_where_no_single_warehouse_has_it() -> None:
    levels = free(east={"A": 3}, north={"A": 2}, west={"A": 4})
    assert allocate([WantedLine("1", "A", 4)], levels, WAREHOUSES) == [Allocation("1", "A", "west", 4)]
    assert allocate([WantedLine("1", "A", 5)], levels, WAREHOUSES) == [
        Allocation("1", "A", "east", 3),
        Allocation("1", "A", "north", 2),
    ]


def test_line_stays_whole_even_if_another_warehouse_is_needed_for_it() -> None:
    lines = [WantedLine("1", "A", 4), WantedLine("2", "B", 1), WantedLine("3", "C", 1)]
    levels = free(east={"A": 2, "B": 1}, north={"A": 2, "C": 1}, west={"A": 4})
    assert allocate(lines, levels, WAREHOUSES) == [
        Allocation("1", "A", "west", 4),
        Allocation("2", "B", "east", 1),
        Allocation("3", "C", "north", 1),
    ]


def test_lines_of_one_sku_share_its_stock() -> None:
    lines = [WantedLine("1", "A", 2), WantedLine("2", "A", 2)]
    assert allocate(lines, free(east={"A": 3}), WAREHOUSES) == Shortage({"A": 1})
    assert allocate(lines, free(east={"A": 3}, north={"A": 4}), WAREHOUSES) == [
        Allocation("1", "A", "north", 2),
        Allocation("2", "A", "north", 2),
    ]


def test_gift_of_the_same_sku_needs_both_units_in_one_place() -> None:
    lines = [WantedLine("1", "A", 1), WantedLine("g", "A", 1, gift_of="1")]
    assert allocate(lines, free(east={"A": 1}, north={"A": 1}), WAREHOUSES) == Shortage({"A": 1})


def test_group_gives_way_to_another_that_has_only_one_choice() -> None:
    lines = [
        WantedLine("1", "A", 1),
        WantedLine("g", "G", 1, gift_of="1"),
        WantedLine("2", "A", 1),
        WantedLine("h", "H", 1, gift_of="2"),
    ]
    levels = free(east={"A": 1, "G": 1, "H": 1}, north={"A": 1, "G": 1})
    assert allocate(lines, levels, WAREHOUSES) == [
        Allocation("2", "A", "east", 1),
        Allocation("1", "A", "north", 1),
        Allocation("g", "G", "north", 1),
        Allocation("h", "H", "east", 1),
    ]


def test_earlier_choice_is_taken_back_where_it_leaves_no_room_for_a_later_group() -> None:
    parents = [WantedLine(key, "A", 1) for key in ("1", "2", "3")]
    gifts = [WantedLine("g", "G", 1, "1"), WantedLine("h", "H", 1, "2"), WantedLine("i", "H", 1, "3")]
    levels = free(east={"A": 1, "G": 1, "H": 1}, north={"A": 1, "G": 1}, west={"A": 1, "H": 1})
    allocations = allocate([*parents, *gifts], levels, WAREHOUSES)
    assert not isinstance(allocations, Shortage)
    homes = {one.line_id: one.warehouse for one in allocations}
    assert homes == {"1": "north", "g": "north", "2": "east", "h": "east", "3": "west", "i": "west"}


def test_shortage_names_every_sku_and_how_much_is_missing() -> None:
    lines = [WantedLine("1", "A", 5), WantedLine("2", "B", 1), WantedLine("3", "C", 1)]
    levels = free(east={"A": 1, "C": 1}, north={"A": 1, "B": -3})
    assert allocate(lines, levels, WAREHOUSES) == Shortage({"A": 3, "B": 1})


def test_stock_of_a_warehouse_that_is_not_asked_does_not_count() -> None:
    assert allocate([WantedLine("1", "A", 1)], free(south={"A": 9}), WAREHOUSES) == Shortage({"A": 1})


def test_search_among_very_many_warehouses_ends() -> None:
    names = [f"w{at:03}" for at in range(60)]
    levels = {("A", name): 1 for name in names} | {("G", name): 1 for name in names[:59]}
    lines = [WantedLine("1", "A", 40), WantedLine("2", "A", 1), WantedLine("g", "G", 1, gift_of="2")]
    allocations = allocate(lines, levels, names)
    assert not isinstance(allocations, Shortage)
    assert sum(one.quantity for one in allocations) == 42


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([WantedLine("g", "G", 1, gift_of="1")], InvalidGift),
        ([WantedLine("1", "A", 1), WantedLine("g", "G", 1, "1"), WantedLine("h", "H", 1, "g")], InvalidGift),
        ([WantedLine("1", "A", 0)], InvalidQuantity),
    ],
)
def test_lines_that_cannot_be_are_refused(lines: list[WantedLine], error: type[DomainError]) -> None:
    with pytest.raises(error):
        allocate(lines, {}, WAREHOUSES)


def test_nothing_wanted_is_nothing_allocated() -> None:
    assert allocate([], {}, WAREHOUSES) == []

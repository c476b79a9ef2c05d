from collections import Counter
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from domain.allocation import Allocation, Shortage, WantedLine, allocate

WAREHOUSES = ["w1", "w2", "w3"]
SKUS = ["A", "B", "C"]
Levels = dict[tuple[str, str], int]


@st.composite
def wanted(draw: st.DrawFn) -> list[WantedLine]:
    units = st.tuples(st.sampled_from(SKUS), st.integers(1, 4))
    parents = [WantedLine(f"{at}", *one) for at, one in enumerate(draw(st.lists(units, min_size=1, max_size=4)))]
    gifts = draw(st.lists(st.tuples(units, st.sampled_from(parents)), max_size=3))
    return parents + [WantedLine(f"g{at}", *one, gift_of=of.line_id) for at, (one, of) in enumerate(gifts)]


LEVELS = st.fixed_dictionaries({key: st.integers(0, 8) for key in product(SKUS, WAREHOUSES)})


def groups(lines: list[WantedLine]) -> list[list[WantedLine]]:
    return [[one for one in lines if line.line_id in (one.line_id, one.gift_of)] for line in lines if not line.gift_of]


def fits(placed: list[tuple[list[WantedLine], str]], levels: Levels) -> bool:
    used: Counter[tuple[str, str]] = Counter()
    for group, warehouse in placed:
        used.update({(line.sku, warehouse): 0 for line in group})
        for line in group:
            used[line.sku, warehouse] += line.quantity
    return all(units <= levels[key] for key, units in used.items())


def feasible(lines: list[WantedLine], levels: Levels) -> bool:
    """By trying everything: groups with gifts whole, and enough units of every SKU in all."""
    need: Counter[str] = Counter()
    for line in lines:
        need[line.sku] += line.quantity
    if any(sum(levels[sku, at] for at in WAREHOUSES) < units for sku, units in need.items()):
        return False
    bound = [group for group in groups(lines) if len(group) > 1]
    return any(fits(list(zip(bound, homes, strict=True)), levels) for homes in product(WAREHOUSES, repeat=len(bound)))


def smallest_without_splits(lines: list[WantedLine], levels: Levels) -> int | None:
    whole = groups(lines)
    counts = [
        len(set(homes))
        for homes in product(WAREHOUSES, repeat=len(whole))
        if fits(list(zip(whole, homes, strict=True)), levels)
    ]
    return min(counts, default=None)


@given(wanted(), LEVELS)
def test_order_is_allocated_exactly_where_that_is_possible(lines: list[WantedLine], levels: Levels) -> None:
    assert isinstance(allocate(lines, levels, WAREHOUSES), Shortage) != feasible(lines, levels)


@given(wanted(), LEVELS)
def test_allocation_promises_all_units_and_never_more_than_there_are(lines: list[WantedLine], levels: Levels) -> None:
    result = allocate(lines, levels, WAREHOUSES)
    if isinstance(result, Shortage):
        assert result.missing
        assert all(units > 0 for units in result.missing.values())
        return
    promised: Counter[str] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    for one in result:
        promised[one.line_id] += one.quantity
        taken[one.sku, one.warehouse] += one.quantity
    assert promised == {line.line_id: line.quantity for line in lines}
    assert all(units <= levels[key] for key, units in taken.items())
    assert result == sorted(result, key=lambda one: (one.sku, one.warehouse, one.line_id))


def homes_of(result: list[Allocation], line_id: str) -> set[str]:
    return {one.warehouse for one in result if one.line_id == line_id}


@given(wanted(), LEVELS)
def test_gift_is_never_split_from_its_parent(lines: list[WantedLine], levels: Levels) -> None:
    result = allocate(lines, levels, WAREHOUSES)
    if not isinstance(result, Shortage):
        for line in lines:
            if line.gift_of is not None:
                assert len(homes_of(result, line.line_id)) == 1
                assert homes_of(result, line.line_id) == homes_of(result, line.gift_of)


@given(wanted(), LEVELS)
def test_as_few_warehouses_as_possible_and_no_split_where_none_is_needed(
    lines: list[WantedLine], levels: Levels
) -> None:
    fewest = smallest_without_splits(lines, levels)
    if fewest is not None:
        result = allocate(lines, levels, WAREHOUSES)
        assert not isinstance(result, Shortage)
        assert len({one.warehouse for one in result}) == fewest
        assert all(len(homes_of(result, line.line_id)) == 1 for line in lines)

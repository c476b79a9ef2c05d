"""Which warehouse sends which units of an order. Decides from numbers alone; reserving them is the stock's business."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from domain.pricing import InvalidGift, InvalidQuantity

_MOST_TRIALS = 2_000


@dataclass(frozen=True, slots=True)
class WantedLine:
    """Units of a SKU that an order line still needs; a gift names the line it must travel with."""

    line_id: str
    sku: str
    quantity: int
    gift_of: str | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of an order line promised from one warehouse."""

    line_id: str
    sku: str
    warehouse: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why nothing is allocated: the units missing per SKU, in all warehouses or in the best one for a gift's group."""

    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines that leave from one warehouse, and what they need together: a parent with its gifts, or a lone line."""

    lines: tuple[WantedLine, ...]
    needs: Counter[str]

    @property
    def has_gifts(self) -> bool:
        return len(self.lines) > 1


@dataclass(frozen=True, slots=True)
class _Demand:
    """The groups that must stay whole and the lines that may be split."""

    whole: tuple[_Group, ...]
    divisible: tuple[WantedLine, ...]
    needs: Counter[str]

    @classmethod
    def of(cls, groups: Sequence[_Group], whole: Callable[[_Group], bool]) -> "_Demand":
        return cls(
            whole=tuple(group for group in groups if whole(group)),
            divisible=tuple(group.lines[0] for group in groups if not whole(group)),
            needs=_needs([line for group in groups for line in group.lines]),
        )


class _Stock:
    """What is still free in the warehouses that are tried, in order of priority."""

    def __init__(self, availability: Mapping[tuple[str, str], int], warehouses: Sequence[str]) -> None:
        self.warehouses = tuple(warehouses)
        self._free = Counter({key: units for key, units in availability.items() if units > 0})

    def free(self, sku: str, warehouse: str) -> int:
        return self._free[sku, warehouse]

    def missing(self, needs: Mapping[str, int], warehouses: Sequence[str]) -> dict[str, int]:
        gaps = {sku: units - sum(self.free(sku, at) for at in warehouses) for sku, units in needs.items()}
        return {sku: gap for sku, gap in gaps.items() if gap > 0}

    def fits(self, needs: Mapping[str, int]) -> Iterator[str]:
        return (at for at in self.warehouses if not self.missing(needs, [at]))

    def take(self, needs: Mapping[str, int], warehouse: str) -> None:
        for sku, units in needs.items():
            self._free[sku, warehouse] -= units

    def give_back(self, needs: Mapping[str, int], warehouse: str) -> None:
        for sku, units in needs.items():
            self._free[sku, warehouse] += units


class _Trials:
    """How much searching is left: finding the fewest warehouses is exact for ordinary orders and bounded for any."""

    def __init__(self) -> None:
        self._left = _MOST_TRIALS

    def spend(self) -> bool:
        self._left -= 1
        return self._left >= 0


def allocate(
    lines: Sequence[WantedLine], availability: Mapping[tuple[str, str], int], warehouses: Sequence[str]
) -> list[Allocation] | Shortage:
    """Promise every unit of the order, or none. `availability` is by (sku, warehouse), `warehouses` by priority.

    One warehouse that has everything is preferred, then as few as possible, better priority first. A gift stays with
    its parent in one warehouse; a line without gifts is split only where no single warehouse can send all of it. The
    promises are sorted by (sku, warehouse, line), the order in which stock is locked. With very many warehouses the
    search is cut off; it may then use more of them than needed. Raises `InvalidGift`, `InvalidQuantity`.
    """
    groups = _groups(lines)
    everywhere = _Stock(availability, warehouses)
    needs = _needs(lines)
    missing = everywhere.missing(needs, warehouses)
    if missing:
        return Shortage(missing)
    useful = [at for at in warehouses if any(everywhere.free(sku, at) for sku in needs)]
    unsplit = _Demand.of(groups, lambda group: group.has_gifts or any(everywhere.fits(group.needs)))
    split = _Demand.of(groups, lambda group: group.has_gifts)
    placed = (
        _fewest(unsplit, availability, useful)
        or _fewest(split, availability, useful)
        or _placed(split, _Stock(availability, useful), _Trials())
    )
    if placed is None:
        return Shortage(_missing_together(split.whole, _Stock(availability, useful)))
    return sorted(placed, key=lambda one: (one.sku, one.warehouse, one.line_id))


def _needs(lines: Sequence[WantedLine]) -> Counter[str]:
    needs: Counter[str] = Counter()
    for line in lines:
        needs[line.sku] += line.quantity
    return needs


def _groups(lines: Sequence[WantedLine]) -> list[_Group]:
    gifts: dict[str, list[WantedLine]] = {line.line_id: [] for line in lines if line.gift_of is None}
    for line in lines:
        if line.quantity <= 0:
            raise InvalidQuantity(line_id=line.line_id)
        if line.gift_of is not None:
            if line.gift_of not in gifts:
                raise InvalidGift("the gift's line is not there", line_id=line.line_id, gift_of=line.gift_of)
            gifts[line.gift_of].append(line)
    together = [(line, *gifts[line.line_id]) for line in lines if line.gift_of is None]
    return [_Group(members, _needs(members)) for members in together]


def _fewest(
    demand: _Demand, availability: Mapping[tuple[str, str], int], useful: Sequence[str]
) -> list[Allocation] | None:
    trials = _Trials()
    for count in range(1, len(useful) + 1):
        for chosen in combinations(useful, count):
            if not trials.spend():
                return None
            stock = _Stock(availability, chosen)
            if not stock.missing(demand.needs, chosen) and (placed := _placed(demand, stock, trials)):
                return placed
    return None


def _placed(demand: _Demand, stock: _Stock, trials: _Trials) -> list[Allocation] | None:
    ordered = _hardest_first(demand.whole, stock)
    homes = _homes(ordered, stock, trials)
    if homes is None:
        return None
    placed = [
        Allocation(line.line_id, line.sku, home, line.quantity)
        for group, home in zip(ordered, homes, strict=True)
        for line in group.lines
    ]
    return placed + _spread(demand.divisible, stock)


def _hardest_first(groups: Sequence[_Group], stock: _Stock) -> list[_Group]:
    return sorted(groups, key=lambda group: (len(list(stock.fits(group.needs))), -group.needs.total()))


def _homes(groups: Sequence[_Group], stock: _Stock, trials: _Trials) -> list[str] | None:
    """One warehouse for each group such that all fit together, taken from `stock`; None if there is no such choice."""
    homes: list[str] = []
    options = [stock.fits(groups[0].needs)] if groups else []
    while len(homes) < len(groups):
        home = next(options[-1], None)
        if home is not None:
            stock.take(groups[len(homes)].needs, home)
            homes.append(home)
            if len(homes) < len(groups):
                options.append(stock.fits(groups[len(homes)].needs))
        elif homes and trials.spend():
            options.pop()
            stock.give_back(groups[len(homes) - 1].needs, homes.pop())
        else:
            return None
    return homes


def _spread(lines: Sequence[WantedLine], stock: _Stock) -> list[Allocation]:
    placed: list[Allocation] = []
    divided: list[WantedLine] = []
    for line in sorted(lines, key=lambda one: -one.quantity):
        home = next(stock.fits({line.sku: line.quantity}), None)
        if home is None:
            divided.append(line)
        else:
            stock.take({line.sku: line.quantity}, home)
            placed.append(Allocation(line.line_id, line.sku, home, line.quantity))
    for line in divided:
        left = line.quantity
        for at in stock.warehouses:
            units = min(left, stock.free(line.sku, at))
            if units:
                stock.take({line.sku: units}, at)
                placed.append(Allocation(line.line_id, line.sku, at, units))
                left -= units
    return placed


def _missing_together(groups: Sequence[_Group], stock: _Stock) -> dict[str, int]:
    missing: Counter[str] = Counter()
    for group in _hardest_first(groups, stock):
        needs = group.needs
        best = min(stock.warehouses, key=lambda at: sum(stock.missing(needs, [at]).values()))
        gaps = stock.missing(needs, [best])
        missing.update(gaps)
        stock.take(Counter(needs) - Counter(gaps), best)
    return dict(missing)

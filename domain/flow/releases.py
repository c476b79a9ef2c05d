"""Which version of each flow an order takes. Pure: the same order, releases and moment give the same answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from domain.errors import DomainError
from domain.flow.definition import FlowDefinition

ALWAYS = "true"


class NoFallbackFlow(DomainError):
    """Some orders would have no flow any more."""

    code = "no_fallback_flow"


@dataclass(frozen=True, slots=True)
class Release:
    """A version and the orders that take it: from `starts_at` on, of these channels, this many in a hundred."""

    release_id: int
    flow: FlowDefinition
    starts_at: datetime
    channels: frozenset[str] | None = None
    percent: int = 100
    by_people: bool = False

    @property
    def rank(self) -> tuple[bool, int]:
        """What people released comes before what came with the product; then the newer one comes first."""
        return self.by_people, self.release_id

    @property
    def is_for_all(self) -> bool:
        """Whether it leaves out no order that comes after it starts."""
        return self.channels is None and self.percent == 100

    def takes(self, order_no: str, channel: str, at: datetime) -> bool:
        """Whether this order, placed at this moment, is among those it is for."""
        within = self.channels is None or channel in self.channels
        return at >= self.starts_at and within and share_of(order_no) < self.percent


def share_of(order_no: str) -> int:
    """The order's place among a hundred: always the same, so that a larger percentage keeps those it had."""
    return int.from_bytes(sha256(order_no.encode()).digest()[:8]) % 100


def flows_for(releases: Iterable[Release], order_no: str, channel: str, at: datetime) -> list[FlowDefinition]:
    """One version of every flow that takes the order: the one released last among those that are for it."""
    found: dict[str, FlowDefinition] = {}
    for release in sorted(releases, key=lambda one: one.rank, reverse=True):
        if release.flow.key not in found and release.takes(order_no, channel, at):
            found[release.flow.key] = release.flow
    return list(found.values())


def require_fallback(releases: Iterable[Release], at: datetime) -> None:
    """Return when every order finds a flow, now and later; raises NoFallbackFlow otherwise.

    Some flow whose condition always holds has to be there for all, and no newer version of it may hold for fewer.
    """
    by_key: dict[str, list[Release]] = {}
    for release in releases:
        by_key.setdefault(release.flow.key, []).append(release)
    for ones in by_key.values():
        seen: list[Release] = []
        for release in sorted(ones, key=lambda one: one.rank, reverse=True):
            seen.append(release)
            if release.is_for_all and release.starts_at <= at:
                break
        else:
            continue
        if all(one.flow.match is not None and one.flow.match.when.strip() == ALWAYS for one in seen):
            return
    raise NoFallbackFlow("some orders would have no flow any more")

"""How often one address may fail to log in: the lock of an account does not stop one guess at each of many accounts."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

MOST_FAILURES: Final = 60
WITHIN_S: Final = 900.0
# Addresses remembered; those that failed longest ago are forgotten first.
_REMEMBERED: Final = 10_000


class Doorkeeper:
    """Failures of the last quarter of an hour, by address. Each process counts what it sees itself."""

    def __init__(
        self, most: int = MOST_FAILURES, within_s: float = WITHIN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._within_s, self._clock = most, within_s, clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def lets_try(self, address: str) -> bool:
        """Whether the address has failed less often than it may."""
        moments = self._failures.get(_of(address), deque())
        while moments and moments[0] <= self._clock() - self._within_s:
            moments.popleft()
        return len(moments) < self._most

    def note_failure(self, address: str) -> None:
        """Afterwards the failure counts against the address."""
        key = _of(address)
        self._failures.setdefault(key, deque(maxlen=self._most)).append(self._clock())
        self._failures.move_to_end(key)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)


def _of(address: str) -> str:
    """Whoever has one address of a subscriber's IPv6 network has all of them."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else address

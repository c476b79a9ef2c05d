"""What a process does once it has loaded everything, and before it works for a long time."""

import gc
from typing import Final

# Python's own 700 has the collector look through young objects several times for one order, to find hardly anything.
_YOUNG: Final = 10_000


def settle() -> None:
    """Afterwards the garbage collector leaves alone what is there by now, and looks less often at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])

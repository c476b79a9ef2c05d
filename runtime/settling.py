"""What a process does once it has loaded everything, and before it works for a long time."""

import gc
from typing import Final

# After so many new objects the collector looks at the young; after so many such looks at the older; after so many of
# those at all. Python's own 700, 10, 10 look at the young several times for one order, to find hardly anything. All are
# looked at as often as ever: only then an order that a worker has put out of its memory is gone.
_LOOKS: Final = (5_000, 5, 2)


def settle() -> None:
    """Afterwards the garbage collector leaves alone what is there by now, and looks less often at what is new."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_LOOKS)

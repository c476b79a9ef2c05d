"""A process that has loaded everything."""

import subprocess
import sys

_ASKED = """
import gc
from math import prod
from runtime.settling import settle
before = gc.get_threshold()
settle()
after = gc.get_threshold()
print(gc.get_freeze_count() > 1000, after[0] > before[0], prod(after) < 2 * prod(before), gc.isenabled())
"""


def test_collector_leaves_alone_what_is_there_and_looks_at_all_else_as_often_as_ever() -> None:
    # In a process of its own: it lasts as long as the process does.
    told = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True"] * 4

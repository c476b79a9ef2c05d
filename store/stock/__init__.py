"""Every SQL statement of stock: receiving, promising, giving back, letting leave, and who waits for it.

Levels are locked in the order of their primary key wherever more than one is: two transactions that want the same
goods wait for each other, but never in a circle. What works on an order expects the order's row to be locked, and tells
the session's rows of order lines what it has counted.
"""

from store.stock.expiring import expired, release_expired
from store.stock.leaving import LeavingUnits, StockNotReserved, ship
from store.stock.levels import Difference, differences, levels
from store.stock.receiving import GoodsReceipt, ReceiptLine, ReceiptOutcome, UnknownWarehouse, receive
from store.stock.reserving import (
    Reserved,
    UnknownSkus,
    release,
    release_units,
    reservations,
    reserve,
    units_by_warehouse,
)
from store.stock.taking_back import ReturnedUnits, take_back
from store.stock.waiting import Waiting, Woken, fillable, wake

__all__ = [
    "Difference",
    "GoodsReceipt",
    "LeavingUnits",
    "ReceiptLine",
    "ReceiptOutcome",
    "Reserved",
    "ReturnedUnits",
    "StockNotReserved",
    "UnknownSkus",
    "UnknownWarehouse",
    "Waiting",
    "Woken",
    "differences",
    "expired",
    "fillable",
    "levels",
    "receive",
    "release",
    "release_expired",
    "release_units",
    "reservations",
    "reserve",
    "ship",
    "take_back",
    "units_by_warehouse",
    "wake",
]

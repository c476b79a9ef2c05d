"""SQLModel tables, one file per aggregate. Importing this package makes their metadata complete."""

from models import (
    access,
    approval,
    audit,
    changing,
    consistency,
    inbox,
    invoice,
    journal,
    masters,
    order,
    outbox,
    payment,
    refunding,
    returning,
    shipping,
    stock,
)

__all__ = [
    "access",
    "approval",
    "audit",
    "changing",
    "consistency",
    "inbox",
    "invoice",
    "journal",
    "masters",
    "order",
    "outbox",
    "payment",
    "refunding",
    "returning",
    "shipping",
    "stock",
]

"""Flow documents and facts for tests."""

import copy
from typing import Any

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.vocabulary import FactValue

Document = dict[str, Any]

_SOUND: Document = {
    "schema": "orderflow/1",
    "key": "plain",
    "version": 1,
    "title": {"zh": "测试", "en": "Plain"},
    "match": {"priority": 10, "when": "order.type == 'normal'"},
    "start": "reserve",
    "nodes": {
        "reserve": {"kind": "action", "action": "stock.reserve", "next": "pay", "on_error": "lane"},
        "pay": {"kind": "wait", "event": "payment.full", "timeout": "PT1H", "next": "ship", "on_timeout": "undo"},
        "ship": {"kind": "action", "action": "shipping.create", "next": "signed", "on_error": "lane"},
        "signed": {
            "kind": "wait",
            "event": "shipment.delivered",
            "timeout": "P9D",
            "next": "revenue",
            "on_timeout": "lane",
        },
        "revenue": {"kind": "action", "action": "revenue.recognise", "next": "invoice", "on_error": "lane"},
        "invoice": {"kind": "action", "action": "invoice.issue", "next": "done", "on_error": "lane"},
        "done": {"kind": "end", "result": "completed"},
        "undo": {"kind": "compensate", "next": "expired"},
        "expired": {"kind": "end", "result": "expired"},
        "lane": {"kind": "exception", "choices": ["retry", "cancel"], "sla": "PT2H"},
    },
}


def sound_document(**nodes: Document) -> Document:
    """A flow without a fault, with nodes added or replaced."""
    document = copy.deepcopy(_SOUND)
    document["nodes"].update(nodes)
    return document


def a_flow(*, key: str = "plain", version: int = 1, priority: int = 10, when: str = "true") -> FlowDefinition:
    document = sound_document() | {"key": key, "version": version, "match": {"priority": priority, "when": when}}
    return parse_definition(document)


def order_facts(**changes: FactValue) -> dict[str, FactValue]:
    """The facts of an ordinary order; changes are spelled with a double underscore for the dot."""
    facts: dict[str, FactValue] = {
        "order.type": "normal",
        "order.channel": "web",
        "order.source": "api",
        "order.total_minor": 22600,
        "order.currency": "CNY",
        "order.item_count": 2,
        "order.categories": ["beauty"],
        "order.skus": ["SKU-1", "SKU-2"],
        "order.has_gift": False,
        "order.country": "CN",
        "order.placed_at": "2026-11-22T10:00:00Z",
        "customer.id": "C-7",
        "customer.level": "VIP",
        "customer.order_count": 3,
        "customer.overdue_minor": 0,
        "customer.blacklisted": False,
        "payment.terms": "prepaid",
        "payment.method": "alipay",
        "payment.paid_minor": 0,
        "risk.score": 10,
    }
    return facts | {name.replace("__", "."): value for name, value in changes.items()}

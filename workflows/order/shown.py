"""What operators find an order by, and know it by, in Temporal's Web UI: ids, words and amounts only."""

import textwrap
from datetime import datetime
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from activities.advance import AdvanceInput, Ahead
    from domain.flow.approval_node import ApprovalNode
    from domain.flow.vocabulary import HOLD_REASONS
    from domain.flow.words import said
    from domain.money import is_currency, to_decimal_text

from workflows import search_attributes
from workflows.order.contract import OrderInput

# Of a long life the last part is shown: what went before is in the order's own timeline.
_LINES_SHOWN: Final = 40
# Temporal refuses a workflow task with a summary of more than 400 bytes.
_SUMMARY_WIDTH: Final = 200


def summary_of(order: OrderInput) -> str:
    """One line by which operators know the order in the Web UI: ids and amounts only."""
    facts = order.facts
    return (
        f"{order.order_no}: {_amount(order)}, {facts['order.type']} order"
        f" from {facts['order.channel']}, customer {facts['customer.id'] or '-'}"
    )


def _amount(order: OrderInput) -> str:
    minor, currency = int(str(order.facts["order.total_minor"])), str(order.facts["order.currency"])
    # The table of currencies is read from a file, once in a process; it is the same for every run and replay.
    with workflow.unsafe.imports_passed_through(), workflow.unsafe.sandbox_unrestricted():
        if is_currency(currency):
            return f"{to_decimal_text(minor, currency)} {currency}"
    return f"{minor} {currency} (minor units)"


def moment(at: datetime) -> str:
    """The moment as the Web UI's texts write it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def hold_in_words(reason: str, due: datetime | None = None) -> str:
    """Why the order is held, who has to act, and by when."""
    known = HOLD_REASONS.get(reason)
    by = f" by {moment(due)}" if due is not None else ""
    return f"{known.en}; {known.owner} has to act{by}" if known else f"{reason}{by}"


def in_words(asked: AdvanceInput) -> str:
    """What is asked for in one go: the fact that came in, and if it was awaited, or there is none, step after step."""
    fact = f"{said(asked.kind)}. If {said(asked.awaited)}: " if asked.kind else ""
    steps = "; ".join(_step_in_words(one) for one in asked.ahead)
    return textwrap.shorten(f"{fact}{steps}", _SUMMARY_WIDTH, placeholder=" ...")


def _step_in_words(one: Ahead) -> str:
    if one.wait is not None:
        return f"Wait for: {said(one.wait.event)}"
    return said(one.name) if one.close is None else f"Close the order: {one.close.result}"


def people_in_words(asked: ApprovalNode, level: int) -> str:
    """Who is asked on this level: roles and ids of people, as the flow names them."""
    return ", ".join(
        approver.role or approver.user or f"superior of the {approver.superior_of}"
        for approver in asked.levels[level].to
    )


class Page:
    """What the order's page in the Web UI says, in Markdown: how it stands, what it waits for, what it went through."""

    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._title = ""
        self._now = ""
        self._story: list[str] = []

    def add(self, what: str) -> None:
        """Afterwards the story has this line, with the time."""
        self._story.append(f"- {workflow.now():%m-%d %H:%M:%S} {what}")

    def stands_at(self, what: str) -> None:
        """Afterwards this is what the order does or waits for now."""
        self._now = what

    def text(self, lifecycle: str) -> str:
        """The whole page."""
        self._title = self._title or summary_of(self._order)
        story = "\n".join(self._story[-_LINES_SHOWN:])
        return f"**{self._title}**\n\n**{lifecycle.replace('_', ' ').capitalize()}** · {self._now}\n\n{story}"


def attributes_of(order: OrderInput) -> TypedSearchAttributes:
    """What the order is found by in Temporal from its first moment on."""
    facts, flow = order.facts, order.flow.flow
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.ORDER_NO, order.order_no),
            SearchAttributePair(search_attributes.ORDER_STATUS, "received"),
            SearchAttributePair(search_attributes.ORDER_TYPE, str(facts["order.type"])),
            SearchAttributePair(search_attributes.CHANNEL, str(facts["order.channel"])),
            SearchAttributePair(search_attributes.CUSTOMER_ID, str(facts["customer.id"])),
            SearchAttributePair(search_attributes.AMOUNT_MINOR, int(str(facts["order.total_minor"]))),
            SearchAttributePair(search_attributes.FLOW_KEY, flow.key),
            SearchAttributePair(search_attributes.FLOW_VERSION, flow.version),
        ]
    )

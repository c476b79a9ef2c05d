"""What operators find an order by, and know it by, in Temporal's Web UI: ids, words and amounts only."""

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from workflows import search_attributes
from workflows.order.contract import OrderInput


def summary_of(order: OrderInput) -> str:
    """One line by which operators know the order in the Web UI: ids and amounts only."""
    facts = order.facts
    return (
        f"{order.order_no} {facts['order.type']} {facts['order.total_minor']} {facts['order.currency']} (minor units)"
        f" from {facts['order.channel']}, customer {facts['customer.id'] or '-'}"
    )


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

"""The attributes by which operators find orders in Temporal. Never encrypted there, so never personal data."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from temporalio.common import SearchAttributeKey

ORDER_NO: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("OrderNo")
ORDER_STATUS: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("OrderStatus")
ORDER_TYPE: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("OrderType")
CHANNEL: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("Channel")
CUSTOMER_ID: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("CustomerId")
AMOUNT_MINOR: Final[SearchAttributeKey[int]] = SearchAttributeKey.for_int("AmountMinor")
FLOW_KEY: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("FlowKey")
FLOW_VERSION: Final[SearchAttributeKey[int]] = SearchAttributeKey.for_int("FlowVersion")
WAITING_FOR: Final[SearchAttributeKey[str]] = SearchAttributeKey.for_keyword("WaitingFor")
DEADLINE: Final[SearchAttributeKey[datetime]] = SearchAttributeKey.for_datetime("Deadline")
HOLD: Final[SearchAttributeKey[Sequence[str]]] = SearchAttributeKey.for_keyword_list("Hold")

# A server that lacks one of them fails workflow tasks without end, so every stack and test server registers all.
SEARCH_ATTRIBUTES: Final[tuple[SearchAttributeKey[Any], ...]] = (
    ORDER_NO,
    ORDER_STATUS,
    ORDER_TYPE,
    CHANNEL,
    CUSTOMER_ID,
    AMOUNT_MINOR,
    FLOW_KEY,
    FLOW_VERSION,
    WAITING_FOR,
    DEADLINE,
    HOLD,
)

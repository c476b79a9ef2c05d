"""Every task queue, and what waits in it: workflow tasks, activities, or both."""

from typing import Final

from workflows.order.contract import CARRIER_QUEUE, EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.relay import RELAY_QUEUE

QUEUES: Final = (
    (ORDERS_QUEUE, "workflow"),
    *((queue, "activity") for queue in (ORDERS_QUEUE, CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE, RELAY_QUEUE)),
)

"""Asking a running order to be another one: shown first, committed in the words of whoever asks, then asked for."""

import json
from datetime import timedelta
from typing import Final

from temporalio.client import Client, WorkflowUpdateFailedError

from activities.change_drafts import draft
from activities.changing import CHANGE_REQUESTED
from api.changing.schemas import ChangeAsked, ChangePreview, ChangeView, kept
from api.errors import SITUATIONS
from api.inbox.door import API, note
from api.orders.reaching import OrderHasEnded, handle_of, reached, reason_of
from api.orders.seen import Seen
from api.problem import Refused, in_body, unprocessable
from domain.changing import OrderNotChangeable
from store import changing
from store.inbox import Incoming
from workflows.order.contract import ChangeRequest

_WAIT: Final = timedelta(seconds=8)


async def preview(seen: Seen, asked: ChangeAsked) -> ChangePreview:
    """The order as it would be now. Raises why the change would be refused."""
    said = asked.wanted(sets_prices=seen.caller.is_priced)
    return ChangePreview.of(seen.order, await draft(seen.session, seen.order, kept(said), seen.tolerance_minor))


async def change(seen: Seen, client: Client | None, asked: ChangeAsked) -> tuple[ChangeView, bool]:
    """The change, once it has had its effect, and whether it had before.

    Raises Refused (409, 422) with what speaks against it, nothing being changed then; MessageDiffers for other content
    under the same id.
    """
    if asked.version is None:
        raise unprocessable([in_body("#/version", "version_missing", "A change names the version of its preview")])
    said = asked.wanted(sets_prices=seen.caller.is_priced)
    message_id = f"change/{seen.order_no}/{asked.change_id}"
    body = json.dumps(said, ensure_ascii=False)
    known = await changing.find(seen.session, seen.order_no, asked.change_id)
    message = Incoming(API, message_id, CHANGE_REQUESTED, seen.order_no, body, said, seen.caller.actor)
    inbox_id = (await note(seen.session, message)).inbox_id
    if known is None:
        if seen.order.closed_at is not None:
            raise OrderNotChangeable(order_no=seen.order_no, lifecycle=seen.order.lifecycle)
        await seen.let_go()
        await _ask(seen, client, ChangeRequest(f"change/{asked.change_id}/{asked.version}", inbox_id, asked.version))
    row = known or await changing.find(seen.session, seen.order_no, asked.change_id)
    if row is None:
        raise OrderNotChangeable(order_no=seen.order_no)
    return ChangeView.of(row), known is not None


async def _ask(seen: Seen, client: Client | None, request: ChangeRequest) -> None:
    """Afterwards the order is changed, or has ended, maybe after it was. Raises Refused: what it objects."""
    handle = handle_of(client, seen.order_no)
    try:
        await reached(seen, handle, lambda order: order.change(request, _WAIT))
    except OrderHasEnded:
        return
    except WorkflowUpdateFailedError as failed:
        code = reason_of(failed)
        status, title = SITUATIONS.get(code, (409, "The order cannot be changed like this"))
        raise Refused(status, code, title) from None


async def of_order(seen: Seen) -> list[ChangeView]:
    """Every change of the order that had effect, first one first."""
    return [ChangeView.of(row) for row in await changing.of_order(seen.session, seen.order_no)]

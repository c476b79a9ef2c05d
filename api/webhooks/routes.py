"""/v1/webhooks: who is told of changes, what was sent to them, and sending it again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.dependencies import SessionDep, SettingsDep, requires
from api.fields import Word
from api.masters import Master, listed, shown
from api.paging import ExchangeDep, Keyset, ListQuery, Page, page_of
from api.problem import in_body, unprocessable
from api.webhooks.schemas import DeliveryQuery, DeliveryView, DestinationBody, DestinationPut, DestinationView
from domain.access import Permission
from integrations.notifier.address_guard import AddressGuard, AddressRefused
from integrations.webhook_signature import new_secret
from models.outbox import Destination
from store import destinations, masters
from store.masters import Put

router = APIRouter(tags=["webhooks"])
DESTINATIONS = Master(Destination, DestinationView.of, Keyset("webhooks", (str,)), lambda row: (row.name,))
_DELIVERIES = Keyset("deliveries", (int,))
_readers = [requires(Permission.WEBHOOKS_READ)]
_writers = [requires(Permission.WEBHOOKS_WRITE)]
OutboxId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/v1/webhooks", summary="List webhook destinations", dependencies=_readers)
async def list_webhooks(
    query: Annotated[ListQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[DestinationView]:
    return await listed(DESTINATIONS, session, query, exchange)


@router.get("/v1/webhooks/{name}", summary="One webhook destination", dependencies=_readers)
async def get_webhook(name: Word, session: SessionDep) -> DestinationView:
    return await shown(DESTINATIONS, session, name)


@router.put(
    "/v1/webhooks/{name}",
    summary="Put a webhook destination",
    dependencies=_writers,
    responses={201: {"model": DestinationPut}},
)
async def put_webhook(
    name: Word, body: DestinationBody, session: SessionDep, settings: SettingsDep, exchange: ExchangeDep
) -> DestinationPut:
    """A new destination without a secret of its own gets one, shown in this answer and never again."""
    await _check_address(body.url, allow_private=settings.webhook_allow_private)
    secret = body.secret or new_secret()
    done = await destinations.put(session, body.to_row(name, secret), keep_secret=body.secret is None)
    await session.commit()
    is_new = done is Put.CREATED
    if is_new:
        exchange.response.status_code = 201
        exchange.response.headers["Location"] = f"/v1/webhooks/{name}"
    made = secret if is_new and body.secret is None else None
    return DestinationPut(destination=await shown(DESTINATIONS, session, name), secret=made)


@router.delete("/v1/webhooks/{name}", summary="Remove a webhook destination", dependencies=_writers, status_code=204)
async def delete_webhook(name: Word, session: SessionDep) -> None:
    await destinations.remove(session, name)
    await session.commit()


@router.get("/v1/webhooks/{name}/deliveries", summary="What was sent, newest first", dependencies=_readers)
async def list_deliveries(
    name: Word, query: Annotated[DeliveryQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[DeliveryView]:
    await masters.get(session, Destination, name)
    after = _DELIVERIES.decode(query.cursor)
    state = query.state.value if query.state else None
    rows = await destinations.deliveries(
        session, name, state=state, before=after[0] if after else None, limit=query.limit
    )
    return page_of(rows, query, exchange, (_DELIVERIES, lambda row: (row.outbox_id or 0,)), DeliveryView.of)


@router.post(
    "/v1/webhooks/{name}/deliveries/{outbox_id}/replay",
    summary="Send a message again",
    dependencies=_writers,
    status_code=202,
)
async def replay_delivery(name: Word, outbox_id: OutboxId, session: SessionDep) -> DeliveryView:
    message = await destinations.replay(session, name, outbox_id)
    await session.commit()
    return DeliveryView.of(message)


async def _check_address(url: str, *, allow_private: bool) -> None:
    try:
        await AddressGuard(allow_private=allow_private).check(url)
    except AddressRefused as refused:
        raise unprocessable([in_body("#/url", refused.reason, "Nothing may be sent to this address")]) from None

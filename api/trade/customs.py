"""Customs of one order: what they ask for, and what they say of the three documents."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.dependencies import KeysDep, SessionDep, requires
from api.fields import Body, Key, Moment, Text
from api.inbox.door import HandOverDep, take
from api.inbox.hand_over import HandOver
from api.orders.seen import Seen, ToChange, ToRead
from domain import customs
from domain.access import Permission, Principal
from domain.customs import Document, DocumentState
from models.order import Order, OrderLine
from runtime.keyring import KeyRing
from store import events, identity, orders, trade
from store.events import Event
from store.inbox import Incoming
from store.listing.sight import order_in_sight

router = APIRouter(tags=["customs"])
Reporter = Annotated[Principal, requires(Permission.SHIPPING_REPORT)]


class LineData(Body):
    """What customs ask of one line."""

    hs_code: Annotated[str, Field(pattern=r"^[0-9]{6,13}$")]
    origin: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    unit: Text


class CustomsData(Body):
    """What customs ask of the buyer and of each line, by its id."""

    buyer_name: Text
    buyer_id_no: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
    lines: Annotated[dict[str, LineData], Field(min_length=1, max_length=500)]


class CustomsReport(Body):
    """What customs say of a document; `report_id` makes a report that comes twice one."""

    report_id: Key
    document: Document
    state: DocumentState
    reason: Text | None = None


class DocumentView(BaseModel):
    """What customs last said of a document, and who told us."""

    document: str
    state: str
    reason: str | None
    reported_by: str
    reported_at: Moment


class LineView(BaseModel):
    """What is known of a line; null: still to be told."""

    line_id: str
    sku: str
    hs_code: str | None
    origin: str | None
    unit: str | None


class CustomsView(BaseModel):
    """What is still missing, what customs have said of each document, and whether the order is cleared.

    The buyer's number is masked for everybody but those who declare to customs.
    """

    order_no: str
    buyer_name: str | None
    buyer_id_no: str | None
    missing: list[str]
    lines: list[LineView]
    documents: list[DocumentView]
    cleared: bool


class ReportTaken(BaseModel):
    order_no: str
    report_id: str
    repeated: bool


async def _to_report(order_no: Key, caller: Reporter, session: SessionDep) -> Seen:
    return Seen(await order_in_sight(session, order_no, caller), caller, session)


@router.get("/v1/orders/{order_no}/customs", summary="How an order stands with customs")
async def get_customs(seen: ToRead, keys: KeysDep) -> CustomsView:
    return await customs_of(seen, keys)


@router.put("/v1/orders/{order_no}/customs", summary="Tell what customs ask for")
async def put_customs(seen: ToChange, body: CustomsData, keys: KeysDep) -> CustomsView:
    """An order that is held for it goes on once somebody retries it."""
    await declare(seen, body, keys)
    return await customs_of(seen, keys)


async def declare(seen: Seen, body: CustomsData, keys: KeyRing) -> None:
    """Afterwards this is what customs are told of the order; its number is kept encrypted."""
    order = await orders.lock(seen.session, seen.order_no)
    order.customs = identity.sealed(keys, body.model_dump(mode="json"))
    told: dict[str, Any] = {"lines": len(body.lines)}
    await events.record(seen.session, order, Event("customs.told", told, actor=seen.caller.actor))
    await seen.session.commit()
    await seen.read_again()


@router.post("/v1/orders/{order_no}/customs/reports", status_code=202, summary="Report what customs say")
async def report_customs(
    seen: Annotated[Seen, Depends(_to_report)], body: CustomsReport, hand_over: HandOverDep
) -> ReportTaken:
    """Kept once; the order hears of it by itself, now or when it comes to wait for it."""
    return await report(seen, body, hand_over)


async def report(seen: Seen, body: CustomsReport, hand_over: HandOver | None) -> ReportTaken:
    """Afterwards what customs said is in the inbox, once, and on its way to the order."""
    said = body.model_dump(mode="json")
    message = Incoming(
        source="customs",
        message_id=f"customs/{seen.order_no}/{body.report_id}",
        kind=trade.CUSTOMS_REPORTED,
        order_no=seen.order_no,
        body=body.model_dump_json(),
        meaning=said,
        actor=seen.caller.actor,
    )
    receipt = await take(seen.session, message, hand_over)
    return ReportTaken(order_no=seen.order_no, report_id=body.report_id, repeated=receipt.repeated)


async def customs_of(seen: Seen, keys: KeyRing) -> CustomsView:
    """How the order stands with customs, as far as its caller may see it."""
    lines = await orders.lines(seen.session, seen.order_no)
    known = await trade.documents(seen.session, seen.order_no)
    number = identity.number_of(keys, seen.order.customs)
    shown = [DocumentView.model_validate(known[name].model_dump()) for name in sorted(known)]
    return CustomsView(
        order_no=seen.order_no,
        buyer_name=(seen.order.customs or {}).get("buyer_name") if seen.caller.sees_contact else None,
        buyer_id_no=number if seen.caller.may(Permission.CUSTOMS_DECLARE) else identity.masked(number),
        lines=[_line_view(one, seen.order) for one in lines if one.quantity > one.cancelled],
        missing=customs.missing(seen.order.customs, [one.line_id for one in lines if one.quantity > one.cancelled]),
        documents=shown,
        cleared=trade.CUSTOMS_CLEARED in seen.order.came,
    )


def _line_view(line: OrderLine, order: Order) -> LineView:
    told = (order.customs or {}).get("lines")
    known = told.get(line.line_id) if isinstance(told, dict) else None
    # A channel may have sent anything here: what is no text is as good as not told.
    texts = {name: value for name, value in known.items() if isinstance(value, str)} if isinstance(known, dict) else {}
    return LineView(line_id=line.line_id, sku=line.sku, **{name: texts.get(name) for name in customs.OF_LINE})

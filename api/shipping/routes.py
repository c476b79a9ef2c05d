"""/v1/shipments: parcels, their notes, and what carriers report about them."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from api.dependencies import SessionDep, SnapshotDep, requires
from api.fields import Key
from api.idempotency import REPLAYED
from api.inbox.door import API, HandOverDep, scan_message, take
from api.paging import ExchangeDep, Keyset, Page, page_of
from api.problem import Refused
from api.shipping.note import render_note
from api.shipping.note_content import content_of
from api.shipping.schemas import ScanSent, ScanTaken, ShipmentDetail, ShipmentQuery, ShipmentView
from domain.access import Permission, Principal
from models.shipping import Shipment
from store import shipping
from store.listing import shipping as listing
from store.listing.shipping import shipment_in_sight

router = APIRouter(tags=["shipping"])
_NEWEST: Final = Keyset("shipments", (datetime, str))
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}
Reader = Annotated[Principal, requires(Permission.SHIPPING_READ)]
Reporter = Annotated[Principal, requires(Permission.SHIPPING_REPORT)]


@router.get("/v1/shipments", summary="List shipments")
async def list_shipments(
    query: Annotated[ShipmentQuery, Query()], caller: Reader, session: SnapshotDep, exchange: ExchangeDep
) -> Page[ShipmentView]:
    rows = await listing.page(session, caller, query.wanted(), _NEWEST.decode(query.cursor), query.limit)
    packed = await listing.contents(session, [row.shipment_no for row in rows])

    def shown(row: Shipment) -> ShipmentView:
        return ShipmentView.of(row, packed.get(row.shipment_no, ()))

    return page_of(rows, query, exchange, (_NEWEST, lambda row: (row.created_at, row.shipment_no)), shown)


@router.get("/v1/shipments/{shipment_no}", summary="One shipment")
async def get_shipment(shipment_no: Key, caller: Reader, session: SnapshotDep) -> ShipmentDetail:
    row, _order = await shipment_in_sight(session, shipment_no, caller)
    parcel = await shipping.parcel(session, row)
    return ShipmentDetail.told(row, parcel.lines, await shipping.scans(session, shipment_no))


@router.get(
    "/v1/shipments/{shipment_no}/note.pdf",
    summary="The shipping note, to be printed",
    response_class=Response,
    responses=_PDF,
)
async def get_note(shipment_no: Key, caller: Reader, session: SnapshotDep) -> Response:
    """It says who gets the parcel: for those who pack it, and for those who may know the customer anyway."""
    row, order = await shipment_in_sight(session, shipment_no, caller)
    if not (caller.sees_contact or caller.may(Permission.SHIPPING_REPORT)):
        raise Refused(403, "forbidden", f"This needs the permission {Permission.ORDERS_CONTACT.value}.")
    content = await content_of(session, row, order)
    await session.commit()
    pdf = await asyncio.to_thread(render_note, content)
    named = {"Content-Disposition": f'inline; filename="{shipment_no}.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=named)


@router.post("/v1/shipments/{shipment_no}/events", status_code=202, summary="Report what happened to a parcel")
async def report_scan(
    shipment_no: Key, scan: ScanSent, caller: Reporter, session: SessionDep, hand_over: HandOverDep, response: Response
) -> ScanTaken:
    """A fact: it is kept whatever the parcel's state. The same `event_id` has one effect; other content gets 422."""
    row, _order = await shipment_in_sight(session, shipment_no, caller)
    message = scan_message(row.order_no, scan.event(shipment_no), API, caller.actor)
    receipt = await take(session, message, hand_over)
    response.headers["Location"] = f"/v1/shipments/{shipment_no}"
    if receipt.repeated:
        response.headers.update(REPLAYED)
    return ScanTaken.of(shipment_no, scan.event_id)

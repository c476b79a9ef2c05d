"""From a request to an order that is ours: priced, placed and committed, whichever door it came through."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from api.inbox.door import send
from api.inbox.hand_over import ORDER_PLACED, HandOver
from api.orders.schemas import LineSent, PlaceOrder
from api.problem import FieldProblem, Refused, in_body, unprocessable
from api.verbatim import text_of, understood
from domain.access import Principal
from domain.customs import IDENTITY
from domain.errors import DomainError
from domain.flow.definition import FlowDefinition
from domain.flow.releases import Release, flows_for
from domain.money import MAX_MINOR
from domain.order import is_given_away
from domain.order_number import order_number
from domain.pricing import Discount, FundedBy, OrderLineValue, PricedOrder, SoldAs, price_order
from models.columns import now
from runtime.database import Sessions
from runtime.keyring import KeyRing
from store import flows, identity, inbox, placing
from store.inbox import Incoming, MessageDiffers
from store.placing import OrderDraft, Placed

_FLOWS_KEPT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brings an order and through which door (`api`, `import`); `sets_prices`: theirs are taken as they are."""

    actor: str
    source: str
    sets_prices: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """An order as it was sent: what was understood, the text itself, and the key under which it was sent."""

    order: PlaceOrder
    body: str
    idempotency_key: str | None = None

    @property
    def external_id(self) -> str:
        """What the channel calls the order. Raises Refused (400) when nothing says which order this is."""
        if self.order.external_id is not None:
            return self.order.external_id
        if self.idempotency_key is None:
            detail = "An order needs an external_id or the request an Idempotency-Key."
            raise Refused(400, "idempotency_key_required", detail)
        return f"key:{self.idempotency_key}"

    @property
    def order_no(self) -> str:
        return order_number(self.order.channel, self.external_id)


class FlowsInForce:
    """The flows in force as they were at most ten seconds ago, so that an order costs no query for them."""

    def __init__(self) -> None:
        self._releases: Sequence[Release] = ()
        self._read_at = 0.0

    async def get(self, session: AsyncSession, draft: OrderDraft) -> Sequence[FlowDefinition]:
        """The version of every flow that the order takes if it is placed now."""
        if not self._releases or time.monotonic() - self._read_at > _FLOWS_KEPT_S:
            self._releases, self._read_at = await flows.releases(session, self._releases), time.monotonic()
        return flows_for(self._releases, draft.order_no, draft.channel, now())

    def forget(self) -> None:
        """Afterwards the next order reads them anew; called in the process that changes them."""
        self._releases = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """The door for orders."""

    sessions: Sessions
    hand_over: HandOver | None
    flows: FlowsInForce
    keys: KeyRing

    async def place(self, submission: Submission, sender: Sender) -> Placed:
        """Afterwards the order is committed, once, and on its way to Temporal. Raises Refused and MessageDiffers."""
        kept = _sealed(submission, self.keys)
        draft, message = draft_of(kept, sender), _message(kept, sender)
        async with self.sessions() as session, session.begin():
            placed = await placing.place(session, draft, message, await self.flows.get(session, draft))
            if placed.repeated:
                await self._same_buyer(session, submission, placed)
        if not placed.repeated:
            send(self.hand_over, placed.inbox_id, message, placed.start)
        return placed

    async def take(self, sent: Mapping[str, Any], caller: Principal, source: str) -> Placed:
        """One order of many, named by its `external_id`: placed like one that comes alone. Raises what `place` does."""
        order = own(understood(PlaceOrder, sent), caller)
        return await self.place(Submission(order, text_of(sent)), sender(caller, source))

    async def _same_buyer(self, session: AsyncSession, submission: Submission, placed: Placed) -> None:
        """Numbers are no part of a fingerprint, from which they could be guessed. Raises MessageDiffers."""
        number = (submission.order.customs or {}).get(IDENTITY)
        if number is None or number.isspace():
            return
        if not identity.same_number(self.keys, await inbox.body_of(session, placed.inbox_id), number):
            raise MessageDiffers(message_id=submission.external_id)


def _sealed(submission: Submission, keys: KeyRing) -> Submission:
    """As it was sent, but for the buyer's identity number: nobody keeps that in plain."""
    if IDENTITY not in (submission.order.customs or {}):
        return submission
    hidden = identity.sealed(keys, submission.order.customs)
    order = submission.order.model_copy(update={"customs": hidden})
    return replace(submission, order=order, body=text_of(json.loads(submission.body) | {"customs": hidden}))


async def _intake(request: Request) -> Intake:
    state = request.app.state
    return Intake(state.sessions, state.hand_over, state.flows, state.keyring)


IntakeDep = Annotated[Intake, Depends(_intake)]


def own(order: PlaceOrder, caller: Principal) -> PlaceOrder:
    """The order itself. Raises Refused (403) for one of a channel that is none of the caller's."""
    if not caller.sees_channel(order.channel):
        raise Refused(403, "channel_not_allowed", "This key is not for orders of this channel.")
    return order


def sender(caller: Principal, source: str = "api") -> Sender:
    """Who brings an order."""
    return Sender(actor=caller.actor, source=source, sets_prices=caller.is_priced)


def draft_of(submission: Submission, sender: Sender) -> OrderDraft:
    """The order, priced. Raises Refused (422) naming what its prices contradict."""
    order, lines = submission.order, tuple(map(_line, submission.order.lines))
    payment = order.payment
    discounts = _discounts(order, lines)
    priced = _priced(order, lines, discounts)
    return OrderDraft(
        channel=order.channel,
        external_id=submission.external_id,
        type=order.type,
        currency=order.currency,
        lines=lines,
        priced=priced,
        payment_method=payment.method,
        payment_terms=payment.terms,
        placed_at=order.placed_at or now(),
        source=sender.source,
        actor=sender.actor,
        priced_by_client=sender.sets_prices,
        customer_id=order.customer.id,
        contact=_said(order.customer, "name", "phone", "email"),
        ship_to=_said(order.ship_to) if order.ship_to else {},
        discounts=tuple(map(_told, discounts)),
        salesperson=order.salesperson,
        store=order.store,
        group_id=order.group_id,
        customs=order.customs,
        deposit_minor=payment.deposit_minor,
        balance_opens_at=payment.balance_opens_at,
        balance_closes_at=payment.balance_closes_at,
        deposit_refundable=payment.deposit_refundable,
    )


def _message(submission: Submission, sender: Sender) -> Incoming:
    order = submission.order
    return Incoming(
        source=f"orders/{order.channel}",
        message_id=submission.external_id,
        kind=ORDER_PLACED,
        order_no=submission.order_no,
        body=submission.body,
        meaning=order.meaning,
        actor=sender.actor,
        idempotency_key=submission.idempotency_key,
    )


def _said(part: BaseModel, *names: str) -> dict[str, Any]:
    return part.model_dump(mode="json", include=set(names) or None, exclude_none=True)


def _line(line: LineSent) -> OrderLineValue:
    return OrderLineValue(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        tax_rate=Decimal(line.tax_rate),
        category=line.category,
        gift_of=line.gift_of,
        store=line.store,
        sold_as=SoldAs(line.sold_as),
    )


def _discounts(order: PlaceOrder, lines: Sequence[OrderLineValue]) -> list[Discount]:
    """As they were sent. For a sample that nobody pays for one more, of all that it comes to: its value stays known."""
    sent = [Discount(one.kind, one.code, one.amount_minor, FundedBy(one.funded_by)) for one in order.discounts]
    if is_given_away(order.type, order.payment.terms):
        left_minor = _priced(order, lines, sent).total_minor
        if left_minor:
            sent.append(Discount("sample", None, left_minor, FundedBy.SELLER))
    return sent


def _told(discount: Discount) -> dict[str, Any]:
    told = {"kind": discount.kind, "code": discount.code, "amount_minor": discount.amount_minor}
    return {name: value for name, value in told.items() if value is not None} | {"funded_by": discount.funded_by.value}


def _priced(order: PlaceOrder, lines: Sequence[OrderLineValue], discounts: Sequence[Discount]) -> PricedOrder:
    shares = {line.line_id: line.shipping_share_minor for line in order.lines if line.shipping_share_minor is not None}
    try:
        priced = price_order(lines, discounts, order.shipping_fee_minor, shares or None)
    except DomainError as refused:
        raise unprocessable(_pointed(refused, lines)) from None
    deposit = order.payment.deposit_minor
    if deposit is not None and deposit >= priced.total_minor:
        detail = "A deposit is less than what the order comes to"
        raise unprocessable([in_body("#/payment/deposit_minor", "deposit_too_large", detail)])
    return priced


_POINTERS: Final[Mapping[str, tuple[str, str]]] = {
    "discount_above_price": ("#/discounts", "The discounts are more than the price"),
    "shipping_shares_mismatch": ("#/shipping_fee_minor", "The shipping shares do not add up to the fee"),
}


def _pointed(refused: DomainError, lines: Sequence[OrderLineValue]) -> list[FieldProblem]:
    if refused.code == "amount_too_large":
        beyond = [at for at, line in enumerate(lines) if line.quantity * line.unit_price_minor > MAX_MINOR]
        detail = f"The amount comes to more than {MAX_MINOR} minor units"
        return [in_body(f"#/lines/{at}", refused.code, detail) for at in beyond] or [in_body("#", refused.code, detail)]
    pointer, detail = _POINTERS.get(refused.code, ("#/lines", "The lines contradict each other"))
    return [in_body(pointer, refused.code, detail)]

"""An order as a channel sends it. Every problem of a request is named at once, cross-references included."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, TypeAdapter, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.fields import Body, Currency, JsonObject, Key, LongText, Moment, Quantity, Text, Word
from domain.customs import IDENTITY
from domain.exchanging import RESERVED

MAX_LINES: Final = 500
MAX_BATCH: Final = 500
_MAX_AMOUNT: Final = 1_000_000_000_000

Amount = Annotated[int, Field(strict=True, ge=0, le=_MAX_AMOUNT)]
RateText = Annotated[str, Field(pattern=r"^0(\.[0-9]{1,6})?$", max_length=8, examples=["0.13"])]
"""A tax rate below one, as text: `"0.13"`."""
LineId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:/#~-]+$")]
OrderType = Literal["normal", "group_buy", "sample", "presale", "cross_border", "gift", "replacement"]
_MOMENT: Final[TypeAdapter[Any]] = TypeAdapter(Moment | None)
Terms = Literal["prepaid", "deposit_balance", "on_credit", "cash_on_delivery", "none"]


class CustomerSent(Body):
    """The buyer. `level` is kept as sent and never trusted: our customer master knows the level."""

    id: Key | None = None
    name: Text | None = None
    level: Text | None = None
    phone: Text | None = None
    email: Text | None = None


class AddressSent(Body):
    """Where the goods go."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["CN"])]
    name: Text | None = None
    phone: Text | None = None
    region: Text | None = None
    city: Text | None = None
    street: Text | None = None
    postal_code: Text | None = None


class LineSent(Body):
    """One SKU at one tax-inclusive price; a gift names the line it comes with and costs nothing."""

    line_id: LineId
    sku: Key
    quantity: Quantity
    unit_price_minor: Amount
    tax_rate: RateText
    category: Text | None = None
    gift_of: LineId | None = None
    store: Text | None = None
    sold_as: Literal["principal", "agent"] = "principal"
    shipping_share_minor: Amount | None = None


class DiscountSent(Body):
    """A reduction of the whole order, and who bears it."""

    kind: Word
    amount_minor: Amount
    code: Text | None = None
    funded_by: Literal["seller", "platform"] = "seller"


class PaymentPlan(Body):
    """How the buyer will pay; a deposit and the balance's window belong to the terms `deposit_balance`.

    Without `balance_opens_at` the balance may be paid at once. `deposit_refundable` counts from keys that may set
    prices, and is the legal entity's policy otherwise: whether the deposit goes back when the balance is not paid in
    time, or when the buyer calls the order off.
    """

    method: Word
    terms: Terms = "prepaid"
    deposit_minor: Annotated[int, Field(strict=True, ge=1, le=_MAX_AMOUNT)] | None = None
    balance_opens_at: Moment | None = None
    balance_closes_at: Moment | None = None
    deposit_refundable: Annotated[bool, Field(strict=True)] | None = None


class PlaceOrder(Body):
    """An order to be placed. Without `external_id` the `Idempotency-Key` says which order it is."""

    channel: Key
    external_id: Text | None = None
    type: OrderType = "normal"
    currency: Currency
    customer: CustomerSent = CustomerSent()
    ship_to: AddressSent | None = None
    lines: Annotated[list[LineSent], Field(min_length=1, max_length=MAX_LINES)]
    discounts: Annotated[tuple[DiscountSent, ...], Field(max_length=50)] = ()
    shipping_fee_minor: Amount = 0
    payment: PaymentPlan
    salesperson: Key | None = None
    store: Text | None = None
    placed_at: Moment | None = None
    group_id: Text | None = None
    customs: JsonObject | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _everything_at_once(cls, sent: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        found = list(_contradictions(sent)) if isinstance(sent, Mapping) else []
        try:
            order = handler(sent)
        except ValidationError as refused:
            found = [*map(_kept, refused.errors(include_input=False, include_url=False)), *found]
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return order

    @property
    def meaning(self) -> dict[str, Any]:
        """What two equal requests share: what was said, however it was spelled; the buyer's identity number apart."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        if self.customs and IDENTITY in self.customs:
            said["customs"] = {**self.customs, IDENTITY: None}
        return said


class OrderBatch(Body):
    """Up to 500 orders, each placed or refused by itself. An item is what `POST /v1/orders` takes.

    `source` says how they came to whoever sends them, and stays on each order.
    """

    source: Literal["api", "import"] = "api"
    orders: Annotated[list[JsonObject], Field(min_length=1, max_length=MAX_BATCH)]


class CancelOrder(Body):
    """Why the order is to be undone. `deposit`: `refund` gives a deposit back that the terms would let us keep."""

    reason: LongText
    reason_code: Word | None = None
    deposit: Literal["policy", "refund"] = "policy"


class ResolveHold(Body):
    """A person's choice for an order that is held, and the reason that is put on record.

    With `hold_id` it is about this one hold, wherever the order is; without, about what the order stands at.
    """

    choice: Literal["retry", "skip", "cancel", "jump", "refund", "resend"]
    reason_code: Word
    reason: LongText
    hold_id: Key | None = None
    target: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="the node to jump to")] | None = None

    @model_validator(mode="after")
    def _a_choice_has_its_object(self) -> Self:
        if (self.choice == "jump") != (self.target is not None):
            raise PydanticCustomError("target_of_jump", "The choice jump has a target, and no other choice has")
        if self.choice in ("refund", "resend") and self.hold_id is None:
            raise PydanticCustomError("hold_of_choice", "The choices refund and resend name the hold they are about")
        return self


class HoldOrder(Body):
    """Why an order is to stay where it is, and who looks into it: operations, unless another role is named."""

    reason: LongText
    reason_code: Word | None = None
    owner_role: Literal["sales", "service", "warehouse", "finance", "operations"] | None = None


def _may_be_identity(number: Any) -> bool:
    return isinstance(number, str) and len(number) <= 64


def _kept(error: Any) -> InitErrorDetails:
    # Only the words of an error survive being raised again, so they are taken over as they are, braces and all.
    words = PydanticCustomError(error["type"], "{detail}", {"detail": error["msg"]})
    return InitErrorDetails(type=words, loc=error["loc"], input=None)


def _problem(code: Any, detail: Any, *loc: str | int) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(code, detail), loc=loc, input=None)


def _contradictions(sent: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    """What the parts of an order say against each other, as far as it can be read before they are checked."""
    customs = sent.get("customs")
    if isinstance(customs, Mapping) and not _may_be_identity(customs.get(IDENTITY, "")):
        yield _problem("string_type", "The number of the buyer's identity is a text of at most 64", "customs", IDENTITY)
    if str(sent.get("external_id", "")).startswith(RESERVED):
        yield _problem("external_id_reserved", "Orders that replace goods are called like this", "external_id")
    given = sent.get("lines")
    lines = [line for line in given if isinstance(line, Mapping)] if isinstance(given, list) else []
    if lines and len(lines) <= MAX_LINES:
        yield from _line_contradictions(lines)
    payment = sent.get("payment")
    if isinstance(payment, Mapping):
        yield from _payment_contradictions(payment)


def _line_contradictions(lines: list[Mapping[str, Any]]) -> Iterator[InitErrorDetails]:
    ids = [line.get("line_id") for line in lines]
    named = [line_id for line_id in ids if isinstance(line_id, str)]
    gifts = {line.get("line_id") for line in lines if isinstance(line.get("gift_of"), str)}
    seen: set[str] = set()
    for at, line in enumerate(lines):
        line_id, parent = line.get("line_id"), line.get("gift_of")
        if isinstance(line_id, str):
            if line_id in seen:
                yield _problem("duplicate_line_id", "Another line has this line_id", "lines", at, "line_id")
            seen.add(line_id)
        if isinstance(parent, str) and parent not in named:
            yield _problem("unknown_line", "No line has this line_id", "lines", at, "gift_of")
        elif isinstance(parent, str) and parent in gifts:
            yield _problem("gift_of_gift", "A gift cannot hang on a gift", "lines", at, "gift_of")
        if isinstance(parent, str) and line.get("unit_price_minor"):
            yield _problem("gift_has_price", "A gift costs nothing", "lines", at, "unit_price_minor")
    shares = [at for at, line in enumerate(lines) if line.get("shipping_share_minor") is not None]
    if shares and len(shares) < len(lines):
        missing = next(at for at in range(len(lines)) if at not in shares)
        detail = "Either all lines have a shipping share or none has"
        yield _problem("shipping_shares_mismatch", detail, "lines", missing, "shipping_share_minor")


def _payment_contradictions(payment: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    if payment.get("terms") != "deposit_balance":
        for name in ("deposit_minor", "balance_opens_at", "balance_closes_at", "deposit_refundable"):
            if payment.get(name) is not None:
                yield _problem("not_in_parts", "Only the terms deposit_balance have this", "payment", name)
        return
    if payment.get("deposit_minor") is None:
        yield _problem("deposit_missing", "These terms need a deposit", "payment", "deposit_minor")
    if payment.get("balance_closes_at") is None:
        detail = "These terms need a day until which the balance is paid"
        yield _problem("balance_window_missing", detail, "payment", "balance_closes_at")
    elif not _opens_before_it_closes(payment):
        detail = "The balance's window closes before it opens"
        yield _problem("balance_window_empty", detail, "payment", "balance_closes_at")


def _opens_before_it_closes(payment: Mapping[str, Any]) -> bool:
    """True also where one of the two cannot be read: that is a problem of its own."""
    try:
        opens, closes = (_MOMENT.validate_python(payment.get(f"balance_{end}_at")) for end in ("opens", "closes"))
    except ValidationError:
        return True
    return opens is None or closes is None or opens < closes

"""Ways of orders that are not simply paid before they ship: presales, samples, credit, cash on delivery, exchanges."""

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from domain.flow.vocabulary import FactValue
from domain.order import Standing
from tests.factories.flows import order_facts
from tests.fakes.shop import Shop
from tests.replay.acts import Act, cancel, ends, pay, place, resolve, say, scan, skip
from tests.replay.stage import Clock, Scenario, builtin

_DELIVERED: Final = (scan("delivered"), ends("completed"))
_DEPOSIT: Final = pay("partial", deposit=True)
_OPENED: Final = skip(timedelta(hours=2, minutes=5))


def moments_ahead() -> Mapping[str, FactValue]:
    """The balance opens in two hours and closes in twelve."""
    now = datetime.now(UTC)
    opens, closes = now + timedelta(hours=2), now + timedelta(hours=12)
    return order_facts(order__balance_opens_at=opens.isoformat(), order__balance_closes_at=closes.isoformat())


def on_terms(terms: str, **shop: Any) -> Shop:
    """A shop whose order is on these terms."""
    return Shop(standing=Standing(payment_terms=terms), **shop)


def presales() -> Iterator[Scenario]:
    yield _presale("presale", _DEPOSIT, _OPENED, pay(deposit=True), *_DELIVERED)
    yield _presale("presale_paid_early", _DEPOSIT, pay(deposit=True), *_DELIVERED)
    yield _presale("presale_paid_at_once", pay(deposit=True), *_DELIVERED)
    yield _presale("presale_without_deposit", ends("expired"))
    yield _presale("presale_forfeited", _DEPOSIT, ends("expired"))
    yield _presale("presale_refunded", _DEPOSIT, ends("expired"), refundable=True)
    yield _presale("presale_cancelled", _DEPOSIT, cancel, ends("cancelled"))


def other_terms() -> Iterator[Scenario]:
    agreed = say("mona", "approve")
    yield _later("sample", "none", agreed, *_DELIVERED)
    yield _later("sample_rejected", "none", say("mona", "reject"), ends("rejected"))
    for key in ("cash_on_delivery", "on_credit"):
        yield _later(key, key, *_DELIVERED)
        back = {"known": {"shipment.returned": True}}
        yield _later(f"{key}_refused", key, scan("failed", "delivery_failed"), ends("cancelled"), **back)
    yield _later("on_credit_let_pass", "on_credit", agreed, *_DELIVERED, above_credit=True)
    turned_down = (say("mona", "reject"), resolve("retry"), agreed)
    yield _later("on_credit_let_pass_at_last", "on_credit", *turned_down, *_DELIVERED, above_credit=True)
    yield from _replacements()


def _replacements() -> Iterator[Scenario]:
    """Orders that goods which came back have paid for, in full or in part."""
    yield _replacement("replacement_covered", *_DELIVERED)
    yield _replacement("replacement_dearer", pay(), *_DELIVERED, covered=False)
    yield _replacement("replacement_not_paid", ends("expired"), covered=False)


def _replacement(name: str, *acts: Act, covered: bool = True) -> Scenario:
    standing = Standing(payment="paid" if covered else "partial", money_in=True)
    return Scenario(
        f"order/{name}",
        (place, *acts),
        flow=partial(builtin, "replacement"),
        facts=partial(order_facts, order__type="replacement"),
        shop=lambda: Shop(standing=copy.deepcopy(standing), known={"payment.paid_in_full": covered}),
        clock=Clock.REAL if covered else Clock.SKIPPING,
    )


def _presale(name: str, *acts: Act, refundable: bool = False) -> Scenario:
    known = {"payment.paid_in_full": False, "order.deposit_refundable": refundable}
    return Scenario(
        f"order/{name}",
        (place, *acts),
        shop=lambda: on_terms("deposit_balance", known=dict(known)),
        flow=partial(builtin, "presale"),
        facts=moments_ahead,
        clock=Clock.SKIPPING,
    )


def _later(name: str, terms: str, *acts: Act, **shop: Any) -> Scenario:
    key = "sample" if terms == "none" else terms
    return Scenario(
        f"order/{name}",
        (place, *acts),
        # Made anew for each play: the shop changes what it knows.
        shop=lambda: on_terms(terms, **copy.deepcopy(shop)),
        flow=partial(builtin, key),
        facts=partial(order_facts, payment__terms=terms),
    )

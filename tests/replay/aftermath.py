"""Ways through the workflows beside an order's own: what is given back of it, and what comes back."""

from collections.abc import Iterator
from datetime import timedelta

from tests.fakes.shop import Shop
from tests.replay.acts import announce_return, ends, forge_refund, refund, repeat, say, skip, tell_return
from tests.replay.stage import Clock, Scenario


def scenarios() -> Iterator[Scenario]:
    """Every one of them, by name."""
    yield from _refunds()
    yield from _returns()


def _returns() -> Iterator[Scenario]:
    goods = tell_return("return.received")
    yield Scenario("return/taken_in", (announce_return, goods, ends("closed")))
    yield Scenario(
        "return/decided",
        (announce_return, say("sven", "approve"), goods, ends("closed")),
        shop=lambda: Shop(returned="requested"),
    )
    yield Scenario(
        "return/turned_down",
        (announce_return, repeat("approval_decided", 999), say("sven", "reject"), ends("rejected")),
        shop=lambda: Shop(returned="requested"),
    )
    yield Scenario(
        "return/decided_late",
        (announce_return, skip(timedelta(hours=25)), say("mona", "approve"), goods, ends("closed")),
        shop=lambda: Shop(returned="requested"),
        clock=Clock.SKIPPING,
    )
    yield Scenario("return/rejected", (announce_return, ends("rejected")), shop=lambda: Shop(returned="rejected"))
    yield Scenario("return/unknown", (announce_return, ends("ignored")), shop=lambda: Shop(returned=None))
    yield Scenario(
        "return/forged",
        (announce_return, tell_return("return.received", forged=True), goods, ends("closed")),
    )
    yield Scenario("return/goods_never_came", (announce_return, ends("expired")), clock=Clock.SKIPPING)
    yield Scenario(
        "return/exchanged_as_far_as_it_came",
        (announce_return, ends("expired")),
        shop=lambda: Shop(exchanged=True),
        clock=Clock.SKIPPING,
    )
    yield Scenario(
        "return/provider_refuses",
        (announce_return, goods, ends("closed")),
        shop=lambda: Shop(holds={"pay_refunds": ["refund_failed"]}),
        clock=Clock.SKIPPING,
    )
    yield Scenario(
        "return/not_posted_yet",
        (announce_return, goods, ends("closed")),
        shop=lambda: Shop(holds={"receive_return": ["payment_method_unknown"]}),
        clock=Clock.SKIPPING,
    )


def _refunds() -> Iterator[Scenario]:
    yield Scenario("refund/granted", (refund, ends("granted")))
    yield Scenario("refund/refused", (refund, ends("refused")), shop=lambda: Shop(decision="refused"))
    yield Scenario("refund/forged", (forge_refund, ends("ignored")))
    yield Scenario(
        "refund/not_posted_yet",
        (refund, ends("granted")),
        shop=lambda: Shop(holds={"grant_refund": ["payment_method_unknown"]}),
        clock=Clock.SKIPPING,
    )
    yield Scenario(
        "refund/provider_refuses",
        (refund, ends("granted")),
        shop=lambda: Shop(holds={"pay_refunds": ["refund_failed"]}),
        clock=Clock.SKIPPING,
    )
    yield Scenario(
        "refund/books_refuse",
        (refund, ends("granted")),
        shop=lambda: Shop(fails={"grant_refund": ["account_mapping_missing"]}),
        clock=Clock.SKIPPING,
    )

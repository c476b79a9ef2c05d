"""Ways through the workflows beside an order's own: what is given back of it."""

from collections.abc import Iterator

from tests.fakes.shop import Shop
from tests.replay.acts import ends, forge_refund, refund
from tests.replay.stage import Clock, Scenario


def scenarios() -> Iterator[Scenario]:
    """Every one of them, by name."""
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

"""What a person at the console does to an order: shown first, and then made as it was shown."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response
from temporalio.client import Client

from api.dependencies import ClientDep, SessionDep, SettingsDep
from api.inbox.door import HandOverDep
from api.inbox.hand_over import HandOver
from api.orders.parts import parts_of
from api.orders.seen import Seen
from api.orders.views import OrderView, order_view
from console.guard import HOME, Visitor
from console.pages import Page, PageDep
from domain.money import from_decimal_text
from runtime.settings import Settings
from store.listing.sight import order_in_sight

SHOWN: Final = "wish"
"""The field in which a page that shows what would be sends what is then to be."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was sent."""

    fields: Mapping[str, str]

    @property
    def shown(self) -> str:
        """What an earlier page has shown; empty for a form that was just filled in."""
        return self.fields.get(SHOWN, "")

    def text(self, name: str) -> str | None:
        """The field without blanks around it; None where nothing was typed."""
        return self.fields.get(name, "").strip() or None

    def whole(self, name: str) -> int | str | None:
        """A number; what is none is left for whoever checks the form to refuse."""
        said = self.text(name)
        return int(said) if said and said.isascii() and said.isdigit() and len(said) < 10 else said

    def minor(self, name: str, currency: str) -> int | None:
        """An amount as people write it. Raises InvalidAmount, AmountTooLarge."""
        said = self.text(name)
        return from_decimal_text(said, currency) if said else None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command is given: the page, and what the commands of the API need."""

    request: Request
    page: Page
    session: AsyncSession
    settings: Settings
    client: Client | None
    hand_over: HandOver | None

    async def typed(self) -> Typed:
        """What was sent; files are no part of any form of ours."""
        form = await self.request.form()
        return Typed({name: value for name, value in form.items() if isinstance(value, str)})

    async def seen(self, visitor: Visitor, order_no: str) -> Seen:
        """The order, for its commands. Raises OrderNotFound also for one that exists for others only."""
        order = await order_in_sight(self.session, order_no, visitor.caller)
        spans, tolerance = self.settings.time_scale, self.settings.payment_tolerance_minor
        return Seen(order, visitor.caller, self.session, spans, tolerance)

    async def order(self, visitor: Visitor, order_no: str) -> OrderView:
        """The order as its page shows it, whatever has become of the session of a command."""
        async with self.request.app.state.sessions() as session:
            row = await order_in_sight(session, order_no, visitor.caller)
            return order_view(await parts_of(session, row), visitor.caller, None)

    async def form(
        self, template: str, visitor: Visitor, order: OrderView, refused: Exception | None = None, **content: Any
    ) -> Response:
        """The form, with what was typed and why it was refused."""
        status, trouble = (200, "") if refused is None else self.page.refusal(refused)
        typed = await self.typed() if self.request.method == "POST" else Typed({})
        fields = {"typed": typed.fields, "trouble": trouble, "shown": None, "wish": ""}
        return self.page.show(f"acts/{template}", visitor, status, order=order, **(fields | content))

    def done(self, order_no: str, words: str) -> Response:
        """Back to the order, which says what was done."""
        return self.page.go(f"{HOME}orders/{order_no}", words)


async def _desk(
    request: Request,
    page: PageDep,
    session: SessionDep,
    settings: SettingsDep,
    client: ClientDep,
    hand_over: HandOverDep,
) -> Desk:
    return Desk(request, page, session, settings, client, hand_over)


DeskDep = Annotated[Desk, Depends(_desk)]


def new_key() -> str:
    """What makes a command one, however often its page is sent."""
    return f"console-{secrets.token_hex(8)}"

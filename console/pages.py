"""How a page is made: its template, its language, who looks at it, and what it is to say about the last click."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

from babel.numbers import format_currency
from fastapi import Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.guard import HOME, Visitor, csrf_of, keep
from console.refusals import REFUSALS, refusal
from console.tones import lane_of, tone
from console.words import Words, language_of
from domain.money import to_decimal_text

_FOLDER: Final = Path(__file__).parent
_SAID: Final = "orderflow_said"
_LOCALES: Final = {"en": "en_US", "zh": "zh_CN"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
templates: Final = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def money(minor: int | None, currency: str, language: str) -> str:
    """The amount as people write it; a dash for one that is not shown."""
    if minor is None:
        return "—"
    return format_currency(to_decimal_text(minor, currency), currency, locale=_LOCALES[language])


def moment(at: datetime | None) -> Markup:
    """The moment in UTC, which a browser turns into its own time."""
    if at is None:
        return Markup("—")
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M UTC")
    )


def span(seconds: float, words: Words) -> str:
    """A length of time in its two largest units."""
    left = int(abs(seconds))
    parts: list[str] = []
    for size, unit in ((86400, "{n} d"), (3600, "{n} h"), (60, "{n} min")):
        if left >= size or (size == 60 and not parts):
            parts.append(words.text(unit, n=left // size))
        left %= size
    return " ".join(parts[:2])


class Page:
    """One request for a page: what it needs to be shown in the visitor's language and with their rights."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.words = Words(language_of(request))

    def show(self, template: str, visitor: Visitor | None, status: int = 200, /, **content: Any) -> HTMLResponse:
        """The page; what was said about the last click is said once."""
        said = self._said()
        body = templates.get_template(template).render(
            t=self.words.text,
            code=self.words.code,
            reason=self.words.reason,
            language=self.words.language,
            money=lambda minor, currency: money(minor, currency, self.words.language),
            moment=moment,
            until=self.until,
            age=self.age,
            span=lambda seconds: span(seconds, self.words),
            tone=tone,
            lane_of=lane_of,
            visitor=visitor,
            csrf=csrf_of(self.request),
            path=self.request.url.path,
            said=said,
            **content,
        )
        response = HTMLResponse(body, status, headers={"Content-Security-Policy": POLICY})
        if said:
            response.delete_cookie(_SAID, path="/console")
        return response

    def until(self, at: datetime | None) -> Markup:
        """How much time is left, or since when none is; browsers keep it up to date."""
        if at is None:
            return Markup("—")
        left = (at - datetime.now(UTC)).total_seconds()
        said = self.words.text("{time} left" if left >= 0 else "{time} over", time=span(left, self.words))
        kind = "over" if left < 0 else "soon" if left < 900 else "later"
        stamp = at.astimezone(UTC).isoformat(timespec="seconds")
        return Markup('<time class="left left-{}" datetime="{}" data-until>{}</time>').format(kind, stamp, said)

    def age(self, at: datetime) -> str:
        """How long ago it was."""
        return span((datetime.now(UTC) - at).total_seconds(), self.words)

    def go(self, path: str, said: str = "", tone: str = "good", **values: object) -> Response:
        """On to another page of ours, which says what was done."""
        response = RedirectResponse(path if path.startswith(HOME) else HOME, 303)
        if said:
            words = {"tone": tone, "text": self.words.text(said, **values)}
            keep(self.request, response, _SAID, quote(json.dumps(words)), seconds=60)
        return response

    def refusal(self, refused: Exception) -> tuple[int, str]:
        """Status and words for what a command was refused with. Raises what is no refusal."""
        return refusal(refused, self.words)

    def _said(self) -> dict[str, str] | None:
        try:
            said = json.loads(unquote(self.request.cookies.get(_SAID, "")))
            return {"tone": str(said["tone"]), "text": str(said["text"])}
        except (ValueError, TypeError, KeyError):
            return None


PageDep = Annotated[Page, Depends(Page)]
__all__ = ["REFUSALS", "Page", "PageDep"]

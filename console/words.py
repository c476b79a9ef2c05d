"""The console's two languages: texts are written in English, and the catalogue says what they are in Chinese."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from fastapi import Request

from domain.flow.vocabulary import HOLD_REASONS

Language = Literal["en", "zh"]
KEPT: Final = "orderflow_language"
_PREFERRED: Final = re.compile(r"\s*(en|zh)\b[^,]*", re.IGNORECASE)


@cache
def catalogue() -> Mapping[str, Mapping[str, Any]]:
    """`texts`: English to Chinese. `codes`: a word of the system to both."""
    found: dict[str, Mapping[str, Any]] = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
    return found


def language_of(request: Request) -> Language:
    """What the person has chosen, or else what their browser asks for first; English for all others."""
    chosen = request.cookies.get(KEPT)
    if chosen in ("en", "zh"):
        return "zh" if chosen == "zh" else "en"
    for wish in request.headers.get("accept-language", "").split(","):
        found = _PREFERRED.match(wish)
        if found:
            return "zh" if found[1].lower() == "zh" else "en"
    return "en"


class Words:
    """Texts and codes in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def text(self, english: str, **values: object) -> str:
        """The text in this language, with its values."""
        said = catalogue()["texts"].get(english, english) if self.language == "zh" else english
        return str(said).format(**values) if values else str(said)

    def code(self, kind: str, code: object) -> str:
        """What people call a word of the system, such as a status; an unknown one is shown as it is, readably."""
        if code is None:
            return ""
        known = catalogue()["codes"].get(f"{kind}.{code}")
        if known is not None:
            return str(known[0 if self.language == "en" else 1])
        return str(code).replace("_", " ").replace(".", " ")

    def problem(self, code: str, figures: Mapping[str, object]) -> str:
        """What is wrong with a field, with the figures of its rule; empty where the table has no words for it."""
        known = catalogue()["codes"].get(f"problem.{code}")
        try:
            return str(known[0 if self.language == "en" else 1]).format(**figures) if known else ""
        except KeyError:
            return ""

    def reason(self, code: str) -> str:
        """What the reason of a hold is called."""
        known = HOLD_REASONS.get(code)
        if known is None:
            return self.code("reason", code)
        return known.zh if self.language == "zh" else known.en

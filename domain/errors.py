"""The root of everything the business can refuse. A subclass is one situation, with a code that never changes."""

from typing import ClassVar


class DomainError(Exception):
    """A rule of the business was broken. `code` is stable and public, `facts` say which things broke it."""

    code: ClassVar[str] = "domain_error"

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.facts = facts

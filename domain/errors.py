"""The root of everything the business can refuse."""


class DomainError(Exception):
    """A situation that the business names: a stable ``code``, a detail for people, and the facts behind it."""

    code = "domain_error"

    def __init__(self, detail: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

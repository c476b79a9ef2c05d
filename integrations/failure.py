"""What every failure of an outside party says about itself, so that callers need no list of classes."""


class PartyFailure(Exception):
    """An outside party did not do what was asked.

    `code` is stable and names the situation; `retryable` says whether asking again can help. Detail is in our own
    words, never a piece of the party's reply. `retry_after_seconds` is the pause that the party asked for, if any.
    """

    retryable: bool = False

    def __init__(self, code: str, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

"""PostgreSQL, Temporal, worker and API as children of one small supervisor, for a laptop and for tests."""


class LocalStackError(Exception):
    """The local stack cannot start or go on; the text says why and what to do about it."""

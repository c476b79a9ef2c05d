import pytest

from api.idempotency import key_in
from api.problem import Refused


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("k-1", "k-1"),
        ('"k-1"', "k-1"),
        (' "k-1" ', "k-1"),
        (r'"a\"b\\c"', r'a"b\c'),
        ("two words", "two words"),
        ('"', '"'),
    ],
)
def test_keys_are_read_with_and_without_quotes(header: str | None, key: str | None) -> None:
    assert key_in(header) == key


@pytest.mark.parametrize("header", ["", " ", '""', '" "', "a\tb", "ключ", "k" * 256, '"' + "k" * 256 + '"'])
def test_keys_that_cannot_be_are_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        key_in(header)
    assert (refused.value.status, refused.value.code) == (400, "malformed_idempotency_key")

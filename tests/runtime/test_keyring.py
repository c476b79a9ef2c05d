"""What is encrypted opens under the key that it names, and under no other."""

import base64

import pytest

from runtime.keyring import CannotDecrypt, KeyRing, UnusableKeys, key_id_of

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
NUMBER = b"11010119900101123X"


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_what_was_encrypted_opens_again_and_is_never_the_same_twice() -> None:
    keys = KeyRing({"a": OLD})
    first, second = keys.encrypt(NUMBER, b"number"), keys.encrypt(NUMBER, b"number")
    assert keys.decrypt(first, b"number") == keys.decrypt(second, b"number") == NUMBER
    assert first != second
    assert NUMBER not in first
    assert key_id_of(first) == "a"


def test_a_new_key_encrypts_and_an_old_one_still_opens() -> None:
    old, both, new = KeyRing({"a": OLD}), KeyRing({"b": NEW, "a": OLD}), KeyRing({"b": NEW})
    before, after = old.encrypt(NUMBER), both.encrypt(NUMBER)
    assert (key_id_of(after), both.decrypt(before), new.decrypt(after)) == ("b", NUMBER, NUMBER)
    with pytest.raises(CannotDecrypt, match="the key a is none of those that are set"):
        new.decrypt(before)


@pytest.mark.parametrize("at", range(2 + 1 + 12 + 18 + 16))
def test_whatever_byte_is_altered_it_does_not_open(at: int) -> None:
    keys = KeyRing({"a": OLD, "b": OLD})
    sealed = bytearray(keys.encrypt(NUMBER))
    sealed[at] ^= 3
    with pytest.raises(CannotDecrypt):
        keys.decrypt(bytes(sealed))


@pytest.mark.parametrize("cut", [b"", b"\x01", b"\x01\x01a", b"\x02\x01a" + bytes(40), b"\x01\xff"])
def test_what_is_no_ciphertext_is_refused(cut: bytes) -> None:
    with pytest.raises(CannotDecrypt):
        KeyRing({"a": OLD}).decrypt(cut)


def test_it_opens_for_what_it_was_encrypted_for_alone() -> None:
    keys = KeyRing({"a": OLD})
    with pytest.raises(CannotDecrypt):
        keys.decrypt(keys.encrypt(NUMBER, b"number"), b"name")


def test_the_first_of_several_keys_encrypts() -> None:
    ring = KeyRing.of({"2026-b": written(NEW), "2026-a": written(OLD)})
    assert ring.current == "2026-b"
    assert ring.decrypt(KeyRing({"2026-a": OLD}).encrypt(NUMBER)) == NUMBER


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "at least one key"),
        ({"a": ""}, "the key a is not of 32 bytes"),
        ({"a": "!!!"}, "the key a is not in base64"),
        ({"a": written(OLD[:16])}, "the key a is not of 32 bytes"),
        ({"a b": written(OLD)}, "the name of a key"),
        ({"a" * 33: written(OLD)}, "the name of a key"),
    ],
)
def test_unusable_keys_are_named_and_never_shown(keys: dict[str, str], problem: str) -> None:
    with pytest.raises(UnusableKeys, match=problem) as refused:
        KeyRing.of(keys)
    assert written(OLD[:16]) not in str(refused.value)

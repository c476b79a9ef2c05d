"""The identity number of a buyer, which customs ask for: kept encrypted wherever it is kept, as text within JSON."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.customs import IDENTITY
from runtime.keyring import CannotDecrypt, KeyRing, key_id_of

_MARK: Final = "sealed:"
_ABOUT: Final = b"customs/buyer_id_no"
_SHOWN: Final = 4
_PAGE: Final = 500


def sealed(keys: KeyRing, customs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same data with the number encrypted, whatever the number looks like."""
    if customs is None:
        return None
    number = customs.get(IDENTITY)
    # A blank tells nothing, and has to be seen as nothing.
    told = isinstance(number, str) and number.strip()
    return {**customs, IDENTITY: _encrypted(keys, str(number))} if told else dict(customs)


def number_of(keys: KeyRing, customs: Mapping[str, Any] | None) -> str | None:
    """The number itself; None where none was told. Raises CannotDecrypt."""
    kept = (customs or {}).get(IDENTITY)
    return None if not kept or kept.isspace() else keys.decrypt(_raw(kept), _ABOUT).decode()


def masked(number: str | None) -> str | None:
    """Enough of the number to tell it from others, on a page that is not a declaration."""
    if number is None:
        return None
    return "*" * 8 + (number[-_SHOWN:] if len(number) > 2 * _SHOWN else "")


def same_number(keys: KeyRing, body: str, number: str | None) -> bool:
    """Whether the message, as the inbox keeps it, told this number."""
    told = number_of(keys, json.loads(body).get("customs"))
    return hmac.compare_digest((told or "").encode(), (number or "").encode())


async def reseal(session: AsyncSession, keys: KeyRing) -> int:
    """Afterwards every number is encrypted under the current key; how many were not. Raises CannotDecrypt."""
    done = 0
    for column, rows, update in (("customs", _ORDERS, _PUT_ORDER), ("body", _MESSAGES, _PUT_MESSAGE)):
        after: Any = "" if column == "customs" else 0
        while page := (await session.execute(text(rows), {"after": after, "limit": _PAGE})).all():
            for key, kept in page:
                if (resealed := _resealed(keys, kept)) is not None:
                    await session.execute(text(update), {"key": key, column: resealed})
                    done += 1
            after = page[-1][0]
    return done


_ORDERS: Final = """
SELECT order_no, customs->>'buyer_id_no' FROM orders
WHERE customs ? 'buyer_id_no' AND order_no > :after ORDER BY order_no LIMIT :limit FOR UPDATE
"""
_PUT_ORDER: Final = """
UPDATE orders SET customs = jsonb_set(customs, '{buyer_id_no}', to_jsonb(CAST(:customs AS text))) WHERE order_no = :key
"""
_MESSAGES: Final = """
SELECT inbox_id, body::jsonb #>> '{customs,buyer_id_no}' FROM inbox_messages
WHERE kind = 'order.placed' AND body LIKE '%buyer_id_no%' AND inbox_id > :after ORDER BY inbox_id LIMIT :limit
FOR UPDATE
"""
_PUT_MESSAGE: Final = """
UPDATE inbox_messages
SET body = jsonb_set(body::jsonb, '{customs,buyer_id_no}', to_jsonb(CAST(:body AS text)))::text WHERE inbox_id = :key
"""


def _resealed(keys: KeyRing, kept: str | None) -> str | None:
    """The number under the current key; None where it is already, or where there is none."""
    if not kept or kept.isspace():
        return None
    if not kept.startswith(_MARK):
        return _encrypted(keys, kept)
    raw = _raw(kept)
    return None if key_id_of(raw) == keys.current else _encrypted(keys, keys.decrypt(raw, _ABOUT).decode())


def _encrypted(keys: KeyRing, number: str) -> str:
    return _MARK + base64.urlsafe_b64encode(keys.encrypt(number.encode(), _ABOUT)).decode()


def _raw(kept: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(kept.removeprefix(_MARK))
    except (binascii.Error, ValueError):
        raise CannotDecrypt("this is nothing that was encrypted here") from None

"""A client as every integrator should write it: it asks again under the same id until it has an answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from tests.factories.requests import Body

_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 1.0


class SaneClient:
    """Retries connection errors and 503; anything else is an answer. `refusals` counts what it got in between."""

    def __init__(self, api: str, tokens: Mapping[str, str], patience_s: float = 120.0) -> None:
        self._http = httpx.AsyncClient(base_url=api, timeout=_TIMEOUT_S)
        self._tokens = tokens
        self._patience_s = patience_s
        self.refusals: Counter[str] = Counter()
        self.acknowledged: dict[str, str] = {}

    async def close(self) -> None:
        await self._http.aclose()

    async def buy(self, order: Body, amount_minor: int) -> str:
        """The order is acknowledged and so is its payment; returns the order's number."""
        placed = await self.post("/v1/orders", "channel", order)
        order_no: str = placed["order_no"]
        self.acknowledged[order["external_id"]] = order_no
        payment = {"payment_id": f"P-{order['external_id']}", "method": "alipay"}
        amount = {"amount_minor": amount_minor, "currency": order["currency"]}
        await self.post(f"/v1/orders/{order_no}/payments", "finance", payment | amount)
        return order_no

    async def post(self, path: str, role: str, body: Body) -> Body:
        """What was answered in the end, which is a 2xx."""
        deadline = time.monotonic() + self._patience_s
        while True:
            answer = await self._once(path, role, body)
            if answer is not None and answer.status_code != 503:
                assert answer.is_success, f"{answer.status_code} {answer.text}"
                taken: dict[str, Any] = answer.json()
                return taken
            assert time.monotonic() < deadline, f"no answer within {self._patience_s:.0f} s: {self.refusals}"
            asked = float(answer.headers["retry-after"]) if answer is not None else 0.2
            await asyncio.sleep(min(asked, _LONGEST_PAUSE_S))

    async def _once(self, path: str, role: str, body: Body) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        try:
            answer = await self._http.post(path, headers=headers, json=body)
        except httpx.TransportError as lost:
            self.refusals[type(lost).__name__] += 1
            return None
        if answer.status_code == 503:
            self.refusals[answer.json()["code"]] += 1
        return answer

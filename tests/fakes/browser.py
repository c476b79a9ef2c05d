"""A browser without a screen: keeps cookies, sends forms with what the page had in them, follows redirects."""

import re
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

PASSWORD = "plum violin harbour 42"
# Weak on purpose: tests log in many times.
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
_TOKEN = re.compile(r'<meta name="csrf" content="(\w*)">')


class Browser:
    """One person's browser."""

    def __init__(self, app: FastAPI, person: str) -> None:
        self.person = person
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://orderflow.test", follow_redirects=True)
        self.csrf = ""

    async def get(self, path: str, **request: Any) -> httpx.Response:
        return self._noted(await self.http.get(f"/console{path}", **request))

    async def post(self, path: str, **form: Any) -> httpx.Response:
        """What the page's form sends, and where that leads."""
        return self._noted(await self.http.post(f"/console{path}", data={"csrf": self.csrf} | form))

    async def log_in(self, password: str = PASSWORD) -> "Browser":
        await self.get("/login")
        answer = await self.post("/login", person=self.person, password=password)
        assert (answer.status_code, answer.url.path) == (200, "/console/"), answer.text
        return self

    def _noted(self, answer: httpx.Response) -> httpx.Response:
        found = _TOKEN.search(answer.text)
        self.csrf = found[1] if found else self.csrf
        return answer

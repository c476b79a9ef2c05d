"""Keeps URLs that others chose from reaching into our own network.

The name is resolved here and the caller connects to the addresses found here, so that a second answer of the name
server cannot lead elsewhere. Checked when an endpoint is saved and again at every send.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = frozenset({443, 8443})
_ANY_PORT = {None, *range(1, 65536)}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_URL_LIMIT = 2000
_RESOLVE_SECONDS = 5.0
_ADDRESSES_TRIED = 4
# Networks that carry an IPv4 address inside an IPv6 one: through them, any IPv4 network can be reached.
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))


class AddressRefused(Exception):
    """A URL leads where we do not send; `reason` is a stable code. It may lead elsewhere tomorrow."""

    code = "address_refused"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class CheckedAddress:
    """A URL with the addresses it may be reached at; `host_header` and `host` are what the server must be told."""

    url: httpx.URL
    host: str
    host_header: str
    addresses: tuple[str, ...]

    def pinned(self, address: str) -> httpx.URL:
        """The URL with the address in the place of the name."""
        return self.url.copy_with(host=address)


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """All addresses that the system's resolver has for the name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class AddressGuard:
    """Lets only https to public addresses pass; `allow_private` adds http and private networks, for development."""

    def __init__(self, *, allow_private: bool = False, resolve: Resolve = resolve_by_system) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    async def check(self, url: str) -> CheckedAddress:
        """Where the URL leads at this moment; AddressRefused unless every address of it may be reached."""
        parsed = self._parsed(url)
        host = parsed.raw_host.decode("ascii").strip("[]")
        port = _DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
        found = await self._addresses(host, port)
        if not all(self._is_allowed(address) for address in found):
            raise AddressRefused("address_not_public")
        distinct = tuple(dict.fromkeys(str(address) for address in found))[:_ADDRESSES_TRIED]
        return CheckedAddress(parsed, host.rstrip("."), parsed.netloc.decode("ascii"), distinct)

    def _parsed(self, url: str) -> httpx.URL:
        if len(url) > _URL_LIMIT or re.fullmatch(r"[!-\[\]-~]+", url) is None:
            raise AddressRefused("url_malformed")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as problem:
            raise AddressRefused("url_malformed") from problem
        if parsed.scheme != "https" and not (self._allow_private and parsed.scheme == "http"):
            raise AddressRefused("scheme_not_allowed")
        if not parsed.host or "#" in url or parsed.port not in _ANY_PORT:
            raise AddressRefused("url_malformed")
        # An empty user name leaves no userinfo but still the @, which tools read differently.
        if "@" in re.split("[/?]", url, maxsplit=3)[2]:
            raise AddressRefused("credentials_in_url")
        if not self._allow_private and parsed.port is not None and parsed.port not in _PORTS:
            raise AddressRefused("port_not_allowed")
        return parsed

    async def _addresses(self, host: str, port: int) -> list[IpAddress]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            # 2130706433, 0x7f.1 or 0177.0.0.1: names to us, addresses to many resolvers.
            is_number = re.fullmatch(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)\.?", host, re.IGNORECASE) is not None
            if is_number or re.fullmatch("[A-Za-z0-9._-]{1,253}", host) is None:
                raise AddressRefused("url_malformed") from None
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await self._resolve(host, port)
            # A scope ("fe80::1%eth0") stays part of the address and is judged with it.
            addresses = [ipaddress.ip_address(each) for each in found]
        except (OSError, ValueError) as problem:
            raise AddressRefused("name_not_resolvable") from problem
        if not addresses:
            raise AddressRefused("name_not_resolvable")
        return addresses

    def _is_allowed(self, address: IpAddress) -> bool:
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return self._is_allowed(address.ipv4_mapped)
            if not address.is_loopback and any(address in network for network in _EMBEDDING):
                return False
            if address.is_site_local:
                return self._allow_private
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            return False
        if self._allow_private:
            return True
        return address.is_global and not address.is_reserved

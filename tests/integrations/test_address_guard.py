import asyncio
from collections.abc import Sequence

import pytest

from integrations.notifier.address_guard import AddressGuard, AddressRefused, Resolve

PUBLIC_V4, PUBLIC_V6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"


def resolving_to(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


MALFORMED = [
    "",
    "https:hooks.example.com",
    "https:/hooks.example.com",
    "https:///x",
    "https://",
    "https://hooks.example.com/\r\nHost: x",
    "https://hooks.example.com/a b",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:x/",
    "https://127%2e0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://１２７.0.0.1/",
    "https://例子.example/",
    "https://[::1/",
    "https://hooks.example.com/" + "x" * 2000,
]
WRONG_SCHEME = [
    "hooks.example.com/x",
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "javascript:alert(1)",
]
CREDENTIALS = ["https://user:pass@hooks.example.com/", "https://@hooks.example.com/", "https://a@127.0.0.1/"]
WRONG_PORT = ["https://hooks.example.com:80/", "https://hooks.example.com:22/", "https://hooks.example.com:5432/"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
]
NEVER = ["0.0.0.0", "169.254.169.254", "224.0.0.1", "::", "fe80::1", "ff02::1", "::ffff:169.254.169.254"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [(url, "url_malformed") for url in MALFORMED]
    + [(url, "scheme_not_allowed") for url in WRONG_SCHEME[:3]]
    + [(url, "credentials_in_url") for url in CREDENTIALS]
    + [(url, "port_not_allowed") for url in WRONG_PORT],
)
async def test_a_url_that_could_mislead_is_refused(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as refusal:
        await AddressGuard(resolve=resolving_to(PUBLIC_V4)).check(url)
    assert (refusal.value.reason, refusal.value.code) == (reason, "address_refused")


@pytest.mark.parametrize("url", WRONG_SCHEME)
async def test_only_https_is_spoken(url: str) -> None:
    with pytest.raises(AddressRefused):
        await AddressGuard(resolve=resolving_to(PUBLIC_V4)).check(url)


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_an_address_inside_is_refused_however_it_is_reached(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused, match="address_not_public"):
        await AddressGuard().check(f"https://{literal}/hook")
    with pytest.raises(AddressRefused, match="address_not_public"):
        await AddressGuard(resolve=resolving_to(address)).check("https://hooks.example.com/hook")
    with pytest.raises(AddressRefused, match="address_not_public"):
        await AddressGuard(resolve=resolving_to(PUBLIC_V4, address)).check("https://hooks.example.com/hook")


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST"])
async def test_the_own_machine_is_refused_by_its_real_name(host: str) -> None:
    with pytest.raises(AddressRefused):
        await AddressGuard().check(f"https://{host}/hook")


async def test_a_public_endpoint_passes_with_the_addresses_to_connect_to() -> None:
    guard = AddressGuard(resolve=resolving_to(PUBLIC_V4, PUBLIC_V6, PUBLIC_V4))
    checked = await guard.check("https://Hooks.Example.com:8443/in?a=1")

    assert checked.addresses == (PUBLIC_V4, PUBLIC_V6)
    assert (checked.host, checked.host_header) == ("hooks.example.com", "hooks.example.com:8443")
    assert str(checked.pinned(PUBLIC_V4)) == f"https://{PUBLIC_V4}:8443/in?a=1"
    assert str(checked.pinned(PUBLIC_V6)) == f"https://[{PUBLIC_V6}]:8443/in?a=1"


@pytest.mark.parametrize("problem", [OSError("no such name"), UnicodeError("label too long"), TimeoutError()])
async def test_a_name_that_leads_nowhere_is_refused(problem: Exception) -> None:
    async def fail(host: str, port: int) -> Sequence[str]:
        raise problem

    for resolve in (fail, resolving_to(), resolving_to("not an address")):
        with pytest.raises(AddressRefused, match="name_not_resolvable"):
            await AddressGuard(resolve=resolve).check("https://hooks.example.com/")


async def test_the_development_switch_opens_private_networks_only() -> None:
    guard = AddressGuard(allow_private=True)
    checked = await guard.check("http://127.0.0.1:8080/hook")
    assert checked.addresses == ("127.0.0.1",)
    assert (await guard.check("http://[::1]:8080/")).addresses == ("::1",)
    assert (await guard.check("https://10.0.0.1/")).addresses == ("10.0.0.1",)
    for address in NEVER:
        literal = f"[{address}]" if ":" in address else address
        with pytest.raises(AddressRefused):
            await guard.check(f"http://{literal}/")
    for url in [*MALFORMED, *WRONG_SCHEME[2:], *CREDENTIALS]:
        with pytest.raises(AddressRefused):
            await AddressGuard(allow_private=True, resolve=resolving_to(PUBLIC_V4)).check(url)


async def test_checks_do_not_wait_for_each_other() -> None:
    both = asyncio.Barrier(2)

    async def resolve(host: str, port: int) -> Sequence[str]:
        await both.wait()
        return (PUBLIC_V4,)

    guard = AddressGuard(resolve=resolve)
    await asyncio.gather(guard.check("https://a.example/"), guard.check("https://b.example/"))

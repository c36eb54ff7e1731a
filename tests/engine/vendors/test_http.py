import asyncio
import gzip
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.vendors.connection_errors import UnreachableError, as_unreachable
from orchestrator.engine.vendors.environment import Environment, Network
from orchestrator.engine.vendors.http import make_client
from orchestrator.errors import Billed, ErrorKind, ProviderError, UsageError
from orchestrator.trust.addresses import is_local, is_loopback
from tests.servers.openai_server import Fault, OpenAIServer

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in given pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def fetched(*pieces: bytes, encoding: str | None = None, max_body: int = 1_000_000) -> bytes:
    """A body as the client hands it on."""
    headers = {} if encoding is None else {"content-encoding": encoding}

    async def fetch() -> bytes:
        answer = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=Pieces(*pieces)))
        async with make_client(transport=answer, max_body=max_body) as client:
            return (await client.get("http://vendor.example/")).content

    return asyncio.run(fetch())


@given(st.binary(max_size=300_000), st.sampled_from(["gzip", "deflate", "identity"]), st.integers(1, 70_000))
def test_a_body_is_handed_on_decoded(content: bytes, encoding: str, size: int) -> None:
    """In whatever pieces it arrives, the decoded body is complete."""
    raw = COMPRESS[encoding](content)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]

    assert fetched(*pieces, encoding=encoding) == content


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    """The bound is on decoded bytes, and exact."""
    assert len(fetched(b"x" * 1000, max_body=1000)) == 1000
    assert len(fetched(gzip.compress(bytes(1000)), encoding="gzip", max_body=1000)) == 1000
    with pytest.raises(httpx.DecodingError, match="1000 bytes"):
        fetched(b"x" * 1001, max_body=1000)
    with pytest.raises(httpx.DecodingError, match="1000 bytes"):
        fetched(gzip.compress(bytes(1001)), encoding="gzip", max_body=1000)


def test_a_bomb_costs_little_memory() -> None:
    """256 MB of zeros, compressed to 250 kB, are refused long before they are in memory."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(256)) + squeeze.flush()
    tracemalloc.start()
    try:
        with pytest.raises(httpx.DecodingError):
            fetched(bomb, encoding="gzip", max_body=4_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16_000_000


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
def test_an_unrequested_encoding_is_refused(encoding: str) -> None:
    """The client asks for no encoding and takes only those it can bound."""
    with pytest.raises(httpx.DecodingError, match="not asked for"):
        fetched(b"x", encoding=encoding)


def test_damaged_compression_is_refused() -> None:
    """What claims to be gzip and is not raises the client's own error."""
    with pytest.raises(httpx.DecodingError, match="damaged"):
        fetched(b"x" * 100, encoding="gzip")


def test_data_after_the_end_of_a_compressed_body_counts() -> None:
    """An endless tail behind a short compressed body is refused too."""
    with pytest.raises(httpx.DecodingError, match="longer"):
        fetched(gzip.compress(b"short"), *[b"x" * 1000] * 10, encoding="gzip", max_body=5000)


def test_the_client_asks_for_no_encoding_follows_nothing_and_keeps_no_cookie() -> None:
    """Over real sockets: identity is asked for, a redirect is handed back, and a cookie is not sent again."""
    headers = {"location": "/elsewhere", "set-cookie": "a=b; Path=/"}

    async def twice(url: str) -> list[int]:
        async with make_client() as client:
            return [(await client.post(url, content=b'{"a": 1}')).status_code for _ in range(2)]

    with OpenAIServer(lambda request: Fault(307, headers=headers)) as server:
        statuses = asyncio.run(twice(f"{server.base_url}/chat/completions"))
        ledger = server.ledger

    assert statuses == [307, 307]
    assert [each.headers["accept-encoding"] for each in ledger] == ["identity", "identity"]
    assert all("cookie" not in each.headers for each in ledger)


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are not obeyed."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def call(server: OpenAIServer) -> int:
        async with make_client() as client:
            return await post(client, server)

    with OpenAIServer(lambda request: "x") as server:
        assert asyncio.run(call(server)) == 200


def test_a_proxy_serves_every_host_but_this_machine() -> None:
    """A given proxy gets what goes elsewhere; what goes to this machine never passes it."""

    async def get(url: str, proxy: str) -> int:
        async with make_client(network=Network(proxy)) as client:
            return (await client.post(url, content=b'{"a": 1}')).status_code

    with OpenAIServer(lambda request: "x") as server, OpenAIServer(lambda request: "x") as proxy:
        address = proxy.base_url.removesuffix("/v1")
        direct = asyncio.run(get(f"{server.base_url}/chat/completions", address))
        through = asyncio.run(get("http://vendor.invalid/v1/chat/completions", address))

        assert (direct, len(server.ledger), len(proxy.ledger)) == (200, 1, 0)
        assert through == 404


# ── connections ────────────────────────────────────────────────────────────────────────────────────────────────


async def post(client: httpx.AsyncClient, server: OpenAIServer, seconds: float = 10.0) -> int:
    """One call; its status."""
    async with asyncio.timeout(seconds):
        return (await client.post(f"{server.base_url}/chat/completions", content=b'{"a": 1}')).status_code


def test_a_connection_serves_one_call_after_the_other() -> None:
    """Twenty calls in turn need one connection; ten at once need ten, and ten more the same ones again."""
    stall = 0.0

    async def calls(server: OpenAIServer) -> tuple[int, int, int]:
        nonlocal stall
        async with make_client(concurrency=10) as client:
            for _ in range(20):
                assert await post(client, server) == 200
            one_by_one = server.connections
            stall = 0.5  # so that even a slow machine has all of them open at once
            await asyncio.gather(*(post(client, server) for _ in range(10)))
            at_once = server.connections
            await asyncio.gather(*(post(client, server) for _ in range(10)))
            return one_by_one, at_once, server.connections

    with OpenAIServer(lambda request: Fault(200, b"{}", stall=stall)) as server:
        one_by_one, at_once, again = asyncio.run(calls(server))

    assert one_by_one == 1
    assert at_once == again == 10


def test_no_more_connections_stay_open_than_calls_may_be_in_flight() -> None:
    """After ten calls at once with a concurrency of three, seven connections are closed."""

    async def calls(server: OpenAIServer) -> int:
        async with make_client(concurrency=3) as client:
            await asyncio.gather(*(post(client, server) for _ in range(10)))
            before = server.connections
            await asyncio.gather(*(post(client, server) for _ in range(10)))
            return server.connections - before

    with OpenAIServer(lambda request: Fault(200, b"{}", stall=0.5)) as server:
        assert asyncio.run(calls(server)) == 7


@pytest.mark.parametrize("closed", [Fault(200, b"{}", cut=2), Fault(200, b"{}", {"connection": "close"}, cut=2)])
def test_a_connection_that_the_server_has_closed_is_not_used_again(closed: Fault) -> None:
    """Said or unsaid, the end of a connection costs the next call nothing."""

    async def calls(server: OpenAIServer) -> list[int]:
        async with make_client() as client:
            found = []
            for _ in range(5):
                found.append(await post(client, server))
                await asyncio.sleep(0.2)  # the end has to arrive here
            return found

    with OpenAIServer(lambda request: closed) as server:
        assert asyncio.run(calls(server)) == [200] * 5
        assert server.connections == 5


@pytest.mark.parametrize("stalled", [Fault(stall=30.0), Fault(200, b"{", pieces=(30.0,))])
def test_a_cancelled_call_leaves_nothing_behind(stalled: Fault) -> None:
    """Before its answer and within it: the connection is closed, and the next call gets another one."""
    answers = iter([stalled])

    async def calls(server: OpenAIServer) -> int:
        async with make_client(concurrency=1) as client:
            with pytest.raises(TimeoutError):
                await post(client, server, seconds=1.0)
            return await post(client, server)

    with OpenAIServer(lambda request: next(answers, "x")) as server:
        assert asyncio.run(calls(server)) == 200
        assert server.connections == 2


def test_other_schemes_are_refused() -> None:
    """Only HTTP and HTTPS are spoken."""

    async def get() -> None:
        async with make_client() as client:
            await client.get("gopher://127.0.0.1/")

    with pytest.raises(httpx.UnsupportedProtocol):
        asyncio.run(get())


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("128.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    """Names and addresses of loopback are recognised, lookalikes are not."""
    assert is_loopback(host) is here
    inside = f"[{host}]" if host.count(":") > 1 and "[" not in host else host
    assert is_local(f"http://{inside}:8080/v1") is here


@pytest.mark.parametrize("address", [None, "", "localhost", "http://[", 7])
def test_what_is_no_url_is_not_on_this_machine(address: object) -> None:
    """A provider may say anything, or nothing, of its address."""
    assert not is_local(address)


def test_settings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """A proxy or a certificate file that makes no sense is an error of usage that names it."""
    junk = tmp_path / "ca.pem"
    junk.write_text("no certificate")
    with pytest.raises(UsageError, match="proxy"):
        make_client(network=Network("nonsense://x"))
    with pytest.raises(UsageError, match=r"ca\.pem"):
        make_client(network=Network(ca_bundle=str(junk)))
    with pytest.raises(UsageError, match=r"missing\.pem"):
        make_client(network=Network(ca_bundle=str(tmp_path / "missing.pem")))


@pytest.mark.parametrize(
    ("variables", "url", "proxied"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/", True),
        ({"HTTPS_PROXY": "p:1"}, "https://a.example/", True),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.example/", False),
        ({"HTTPS_PROXY": "http://p:1"}, "https://localhost/", False),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.9/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://a.example/", False),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": ".example, x"}, "https://deep.a.example/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:8443"}, "https://a.example:8443/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:8443"}, "https://a.example/", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.example"}, "https://a.example/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, "https://counterexample/", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ", ,"}, "https://a.example/", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "A.Example"}, "https://a.example/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.1.2.3"}, "https://10.1.2.3/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "https://11.1.2.3/", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, "https://[fd00::1]/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "", "no_proxy": ""}, "https://a.example/", True),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, "https://a.example/", False),
        ({"ORCHESTRATE_PROXY": "http://p:1"}, "http://a.example/", True),
        ({"ORCHESTRATE_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example/", True),
        ({"ORCHESTRATE_PROXY": "http://p:1"}, "http://localhost/", False),
    ],
)
def test_which_hosts_a_proxy_of_the_environment_serves(variables: dict[str, str], url: str, proxied: bool) -> None:
    """``HTTPS_PROXY`` for https but for ``NO_PROXY``; ``ORCHESTRATE_PROXY`` for all; this machine always directly."""
    secrets: list[str] = []
    network = Environment(variables, {"HTTPS_PROXY": "http://of-dotenv:1"}, secrets.append).network()
    parts = httpx.URL(url)
    assert network.is_proxied(parts.scheme, parts.host, parts.port) is proxied
    assert network.proxy in ("http://p:1", None)


def test_the_programs_own_proxy_wins_and_no_password_is_shown() -> None:
    """Of two, ``ORCHESTRATE_PROXY``; its password is a secret of the log."""
    secrets: list[str] = []
    variables = {"HTTPS_PROXY": "http://other:1", "ORCHESTRATE_PROXY": "http://me:p-secret@mine:2"}
    network = Environment(variables, {}, secrets.append).network()
    assert (network.shown_proxy, network.proxy_variable) == ("http://mine:2", "ORCHESTRATE_PROXY")
    assert secrets == ["p-secret"]
    common = Environment({"https_proxy": "me:p-other@their:3"}, {}, secrets.append).network()
    assert (common.shown_proxy, common.proxy_variable) == ("http://their:3", "https_proxy")
    assert secrets[1:] == ["p-other"]


def test_what_other_programs_are_told_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy of theirs that makes no sense fails where it is used; a file of authorities that is gone is warned of."""
    missing = str(tmp_path / "gone.pem")

    async def get(url: str) -> int:
        async with make_client(network=Network("soap://p", "HTTPS_PROXY", "", None, missing)) as client:
            return (await client.get(url)).status_code

    with OpenAIServer() as server:
        assert asyncio.run(get(f"{server.address}/nothing")) == 404
    assert missing in caplog.text
    with pytest.raises(UnreachableError, match="in HTTPS_PROXY") as refused:
        asyncio.run(get("https://a.example/"))
    assert refused.value.lasting


@pytest.mark.parametrize(("raised", "lasting"), [(True, True), (False, False)])
def test_a_provider_that_says_only_that_there_was_no_connection_is_helped(raised: bool, lasting: bool) -> None:
    """What the client knows of the reason is kept; any other error is the provider's own."""
    error = ProviderError("no connection", kind=ErrorKind.CONNECTION, retryable=True, billed=Billed.NO)
    error.__cause__ = UnreachableError("http://a cannot be reached", lasting=raised)
    found = as_unreachable(error)
    assert (found.kind, found.retryable, str(found)) == (
        ErrorKind.UNREACHABLE,
        not lasting,
        "http://a cannot be reached",
    )
    error.__cause__ = httpx.ReadError("cut")
    assert as_unreachable(error) is error


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_body_of_bare_deflate_is_decoded(size: int) -> None:
    """Many servers leave out the header of the format that they name."""
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = squeeze.compress(b"Hello " * 1000) + squeeze.flush()
    assert fetched(*[raw[at : at + size] for at in range(0, len(raw), size)], encoding="deflate") == b"Hello " * 1000


def test_importing_the_module_does_not_import_httpx() -> None:
    """A command that calls no vendor does not pay for the client's import."""
    script = "import sys, orchestrator.engine.vendors.http; sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

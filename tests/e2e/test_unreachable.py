"""A host that cannot be reached is down for all its models: said with its address and the cure, and bounded in time."""

import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended, orchestrate, rows
from tests.e2e.test_dead_accounts import TASKS, opened, others, verified
from tests.e2e.test_real_http import models_file
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import play
from tests.servers.tls import RawServer, TLSServer, TunnelProxy, certificate

HTTP2_SETTINGS = bytes.fromhex("000006040000000000000300000064") + bytes.fromhex("0000080700000000000000000000000001")
ASKING = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


def run(home: Path, address: str, *arguments: str, environ: Mapping[str, str] | None = None, **keys: Any) -> Ended:
    """Four given tasks on three models at an address."""
    home.mkdir(exist_ok=True)
    (home / "spec.json").write_text(
        json.dumps({"project": "x", "criteria": "y", "tasks": TASKS, "concurrency": 1, **keys})
    )
    models = models_file(home)
    given = ("run", str(home / "spec.json"), "--project-id", "r", "--models", str(models), *arguments)
    return orchestrate(home, *given, environ={"OPENAI_COMPATIBLE_BASE_URL": address, **(environ or {})})


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def unreached(home: Path) -> list[Any]:
    """Of the attempts: how often each ended unreachable, its money and whether a try was used up."""
    return rows(
        home,
        "SELECT json_extract(data, '$.kind'), json_extract(data, '$.unreconciled'), json_extract(data, '$.by_vendor')"
        " FROM events WHERE type = 'call.failed'",
    )


def test_a_host_that_never_answers_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    """Nothing listens: five or six attempts in ten seconds for all tasks and models together, then exit 3."""
    host = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    ended = run(tmp_path, f"http://{host}/v1")
    assert ended.code == 3, ended.err
    assert 10 <= time.monotonic() - began < 60
    lines = [line for line in ended.err.splitlines() if "cannot be reached" in line]
    assert lines[0].startswith(f"! http://{host} cannot be reached: the connection is refused; start the server there")
    assert lines[-1].endswith("its 3 models are off for this session")
    assert len(lines) == len(opened(tmp_path)) == len(unreached(tmp_path)) <= 6
    assert set(unreached(tmp_path)) == {("unreachable", 0, 0)}
    assert rows(tmp_path, "SELECT settled_nano, held_nano FROM runs") == [(0, 0)]
    spans = rows(tmp_path, "SELECT max(at) - min(at) FROM events WHERE type = 'breaker.opened'")
    assert 9_000_000 <= spans[0][0] <= 12_000_000
    assert verified(tmp_path)


def test_another_host_does_the_work_meanwhile(tmp_path: Path) -> None:
    """The models of a dead host are passed over at once."""
    dead = f"http://127.0.0.1:{free_port()}/v1"
    with OpenAIServer() as alive:
        models = json.loads(models_file(tmp_path).read_text())["models"]
        ended = run(
            tmp_path,
            dead,
            providers={
                "openai_compatible": {"base_url": dead},
                "other": {"type": "openai_compatible", "base_url": alive.base_url},
            },
            models=others(models),
            routing={"table": {"summarization": [model["id"] for model in models]}},
        )
    assert ended.code in (0, 1), ended.err
    assert alive.ledger
    assert len(unreached(tmp_path)) <= 12
    assert verified(tmp_path)


class Failing(OpenAIServer):
    """Stops listening after so many answers, and comes back after so many seconds at the same port."""

    def __init__(self, answers: int, back_after: float | None) -> None:
        super().__init__(self._answered)
        self._left, self._back_after = answers, back_after
        self._again: OpenAIServer | None = None

    def _answered(self, request: Mapping[str, Any]) -> str | Fault:
        self._left -= 1
        if self._left == 0:
            threading.Thread(target=self._fall, daemon=True).start()
        return play(request)

    def _fall(self) -> None:
        port = self._http.server_address[1]
        self._http.shutdown()
        self._http.socket.close()
        with self._lock:
            for connection in list(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self._back_after is not None:
            self.wait(self._back_after)
            self._http.socket = socket.create_server(("127.0.0.1", int(port)))
            threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.mark.parametrize(("back_after", "code"), [(4.0, {0, 1}), (None, {1, 3})])
def test_a_host_that_has_answered_is_waited_for(tmp_path: Path, back_after: float | None, code: set[int]) -> None:
    """It comes back within ``limits.outage`` and the run goes on; or it does not, and what it left stands."""
    with Failing(3, back_after) as server:
        ended = run(tmp_path, server.base_url, limits={"outage": 60 if back_after else 5})
    assert ended.code in code, ended.err
    kinds = [event["until"] is None for event in opened(tmp_path) if event["reason"] == "unreachable"]
    assert kinds
    assert any(kinds) is (back_after is None)
    assert ("can be reached again" in ended.err) is (back_after is not None)
    assert "tried again in" in ended.err
    assert verified(tmp_path)


# ── what stands between ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("says", "line"),
    [
        (HTTP2_SETTINGS, "does not answer in HTTP/1.1: it speaks TLS (then write https://) or HTTP/2 only"),
        (ASKING, "asks for a user name and a password (HTTP 407)"),
    ],
    ids=["http2", "407"],
)
def test_what_waiting_cannot_cure_is_said_after_one_attempt(tmp_path: Path, says: bytes, line: str) -> None:
    """A server that speaks another protocol, and a proxy that wants a password: one try, one line, exit 3."""
    with RawServer(says) as server:
        ended = run(tmp_path, f"{server.address}/v1")
        heard = list(server.heard)
    assert ended.code == 3, ended.err
    assert len(heard) == len(unreached(tmp_path)) == 1
    (said,) = [each for each in ended.err.splitlines() if line in each]
    assert said.endswith("its 3 models are off for this session")


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_that_cannot_be_read_is_said_once(tmp_path: Path, encoding: str) -> None:
    """One call of four tasks and three models, whose money is unknown; the line says what to switch off."""
    with OpenAIServer(lambda request: Fault(200, b"?", {"content-encoding": encoding}, billed=True)) as server:
        ended = run(tmp_path, server.base_url)
    assert ended.code == 3, ended.err
    assert len(server.ledger) == 1
    (line,) = [line for line in ended.err.splitlines() if "its 3 models are off for this session" in line]
    assert f"encoded as '{encoding}', which was not asked for; switch compression off there" in line
    ((held,),) = rows(tmp_path, "SELECT held_nano FROM runs")
    assert held >= server.billed.nano
    assert verified(tmp_path)


def test_the_proxy_and_the_authorities_of_the_environment_are_honoured(tmp_path: Path) -> None:
    """``HTTPS_PROXY`` leads to the host, ``SSL_CERT_FILE`` adds its authority; a hint says which is missing."""
    public, private = certificate(tmp_path, "vendor.invalid", "localhost")
    with TLSServer(public, private) as server, TunnelProxy(server.port) as proxy:
        environ = {"HTTPS_PROXY": proxy.address, "SSL_CERT_FILE": str(public)}
        reached = run(tmp_path / "a", "https://vendor.invalid/v1", environ=environ)
        assert reached.code in (0, 1), reached.err
        assert set(proxy.heard) == {b"CONNECT vendor.invalid:443 HTTP/1.1"}
        tunnels = len(proxy.heard)

        untrusted = run(tmp_path / "b", "https://vendor.invalid/v1", environ={"https_proxy": proxy.address})
        assert untrusted.code == 3
        assert "the certificate of https://vendor.invalid is not trusted" in untrusted.err
        assert "set ORCHESTRATE_CA_BUNDLE or SSL_CERT_FILE" in untrusted.err
        assert len(unreached(tmp_path / "b")) == 1
        assert len(proxy.heard) == tunnels + 1

        direct = run(tmp_path / "c", "https://vendor.invalid/v1", environ={**environ, "NO_PROXY": ".invalid"})
        assert direct.code == 3
        assert "https://vendor.invalid cannot be reached" in direct.err
        here = run(tmp_path / "d", f"https://localhost:{server.port}/v1", environ=environ)
        assert here.code in (0, 1), here.err
        assert len(proxy.heard) == tunnels + 1


@pytest.mark.parametrize(
    ("proxy", "line"),
    [
        ("http://127.0.0.1:{port}", "the proxy http://127.0.0.1:{port} cannot be reached: the connection is refused"),
        ("socks5://127.0.0.1:{port}", "pip install socksio"),
        ("{asking}", "asks for a user name and a password (HTTP 407); set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
        ("{closing}", "does not connect to https://vendor.invalid"),
    ],
    ids=["dead", "socks", "password", "closing"],
)
def test_a_proxy_that_does_not_work_is_named(tmp_path: Path, proxy: str, line: str) -> None:
    """Whatever is wrong with it: the variable it comes from, nothing billed, exit 3."""
    port = free_port()
    with RawServer(ASKING) as asking, RawServer(b"") as closing:
        named = proxy.format(port=port, asking=asking.address, closing=closing.address)
        ended = run(tmp_path, "https://vendor.invalid/v1", environ={"HTTPS_PROXY": named})
    assert ended.code == 3, ended.err
    assert line.format(port=port) in ended.err
    assert "HTTPS_PROXY" in ended.err
    assert set(unreached(tmp_path)) == {("unreachable", 0, 0)}
    assert verified(tmp_path)


def test_neither_a_file_of_keys_nor_a_spec_names_a_proxy(tmp_path: Path) -> None:
    """``.env`` in the working folder is read for keys only: a repository leads no traffic away."""
    with OpenAIServer() as server, RawServer(ASKING) as proxy:
        (tmp_path / ".env").write_text(f"HTTPS_PROXY={proxy.address}\nORCHESTRATE_PROXY={proxy.address}\n")
        ended = run(tmp_path, server.base_url)
        elsewhere = run(tmp_path / "b", "https://vendor.invalid/v1")
    assert ended.code in (0, 1), ended.err
    assert elsewhere.code == 3
    assert not proxy.heard
    refused = run(tmp_path / "c", "http://127.0.0.1:9", providers={"openai_compatible": {"proxy": "http://x:1"}})
    assert refused.code == 2
    assert "unknown option 'proxy'" in refused.err

import asyncio
import gzip
import json
import socket
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from attrs import evolve

from orchestrator.engine.vendors.http import make_client
from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish
from orchestrator.money import Usage
from orchestrator.spi import Provider, Reply, SpecError
from orchestrator_providers.openai_compatible import orchestrator_provider
from tests.plugins.providers.calls import MODEL, a_config, a_context, a_request
from tests.servers.openai_server import DEFAULT_PRICE, Fault, OpenAIServer

SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}}


def provider(options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Provider:
    """The provider of a configuration that suffices."""
    made = orchestrator_provider(a_config(options, environment))
    assert made is not None
    return made


def ask(made: Provider, **client: Any) -> Reply:
    """One call over real sockets."""

    async def call() -> Reply:
        async with make_client(**client) as http:
            return await made.call(made.encode(a_request()), a_context(http))

    return asyncio.run(call())


def failed(answer: Fault, **client: Any) -> ProviderError:
    """The error of one call that a server answers with a fault."""
    with OpenAIServer(lambda request: answer) as server, pytest.raises(ProviderError) as caught:
        ask(provider({"base_url": server.base_url}), **client)
    return caught.value


# ── what is sent ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_body_is_compact_deterministic_json() -> None:
    """The bytes of a request are pinned: the messages before all that differs between roles, no white space, UTF-8."""
    made = provider({"base_url": "http://127.0.0.1:1/v1"})
    body = made.encode(a_request(text="Grüße", model=evolve(MODEL, wire_name="wire-1")))

    assert body.content.decode() == (
        '{"model":"wire-1","messages":[{"role":"system","content":"Role: generator"},'
        '{"role":"user","content":"Grüße"}],"max_tokens":100,"temperature":0.2}'
    )
    assert made.encode(body.request) == body


@pytest.mark.parametrize(
    ("abilities", "form"),
    [
        ((), None),
        (("json_object",), {"type": "json_object"}),
        (("json_schema",), {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}),
        (
            ("json_object", "json_schema"),
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
        ),
    ],
)
def test_json_is_asked_for_as_the_model_can(abilities: tuple[str, ...], form: Mapping[str, Any] | None) -> None:
    """A schema goes along for a model that takes one, JSON alone for one that takes that, else neither."""
    made = provider({"base_url": "http://127.0.0.1:1/v1"})
    model = evolve(MODEL, abilities=abilities)

    assert json.loads(made.encode(a_request(model=model, json_schema=SCHEMA)).content).get("response_format") == form
    assert "response_format" not in json.loads(made.encode(a_request(model=model)).content)


def test_a_seed_is_sent_to_servers_that_take_one() -> None:
    """Two samples of one question differ by it; the ability ``no_seed`` keeps it back."""
    made = provider({"base_url": "http://127.0.0.1:1/v1"})
    request = evolve(a_request(), seed=17)

    assert json.loads(made.encode(request).content)["seed"] == 17
    assert "seed" not in json.loads(made.encode(a_request()).content)
    refusing = evolve(request, model=evolve(MODEL, abilities=("no_seed",)))
    assert "seed" not in json.loads(made.encode(refusing).content)


def test_a_lone_surrogate_in_a_prompt_is_replaced() -> None:
    """What no encoding can carry does not keep a request from being made."""
    made = provider({"base_url": "http://127.0.0.1:1/v1"})

    assert json.loads(made.encode(a_request(text="a\ud800")).content)["messages"][1]["content"] == "a\ufffd"


def test_exactly_the_encoded_bytes_reach_the_server_and_its_bill_is_the_usage() -> None:
    """The server receives the bytes that were held, and charges the usage that the reply has."""
    with OpenAIServer(lambda request: "Hello there.") as server:
        made = provider({"base_url": server.base_url})
        reply = ask(made)
        (served,) = server.ledger

        assert served.body == made.encode(a_request()).content
        assert served.max_tokens == 100
        assert served.idempotency_key == "key-1"
        assert reply == Reply("Hello there.", served.usage, Finish.STOP, "chatcmpl-local")
        assert server.billed == served.billed == DEFAULT_PRICE.cost(served.usage)
        assert served.billed.nano > 0


def test_an_answer_cut_at_the_limit_says_so() -> None:
    """The server's own limit ends in the finish length."""
    with OpenAIServer(lambda request: "x" * 5_000) as server:
        reply = ask(provider({"base_url": server.base_url}))

    assert (len(reply.text), reply.finish) == (400, Finish.LENGTH)


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("in_spec", "named", "sent"),
    [
        (True, None, None),
        (True, "MY_KEY", "Bearer mine"),
        (False, None, "Bearer default"),
        (False, "MY_KEY", "Bearer mine"),
    ],
)
def test_where_a_key_travels(in_spec: bool, named: str | None, sent: str | None) -> None:
    """A spec's base URL gets only the key a spec names; the environment's gets the default key, or the named one."""
    with OpenAIServer(lambda request: "x") as server:
        environment = {"OPENAI_COMPATIBLE_API_KEY": "default", "MY_KEY": "mine\n"}
        options = {} if named is None else {"api_key_env": named}
        if in_spec:
            options["base_url"] = server.base_url
        else:
            environment["OPENAI_COMPATIBLE_BASE_URL"] = server.base_url
        ask(provider(options, environment))
        (served,) = server.ledger

    assert served.headers.get("authorization") == sent
    assert b"mine" not in served.body


def test_without_a_base_url_there_is_no_provider() -> None:
    """No server to speak to: not available, and no error."""
    assert orchestrator_provider(a_config({}, {"OPENAI_COMPATIBLE_API_KEY": "k"})) is None


def test_a_named_key_that_is_unset_makes_the_provider_unavailable() -> None:
    """A variable the spec names and the environment lacks means that the provider cannot be used."""
    assert orchestrator_provider(a_config({"base_url": "http://127.0.0.1:1", "api_key_env": "NONE"})) is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base_ulr": "http://h"}, "base_ulr"),
        ({"base_url": 7}, "base_url"),
        ({"base_url": "127.0.0.1:8080"}, "http://"),
        ({"base_url": "ftp://h/v1"}, "http://"),
        ({"base_url": "http://user:secret@h/v1"}, "user name"),
        ({"base_url": "http://h/v1?key=x"}, "path"),
        ({"base_url": "http://h:port/v1"}, "cannot be read"),
        ({"base_url": "http://h", "api_key_env": "sk-abc 123"}, "name of an environment variable"),
        ({"base_url": "http://h", "api_key_env": "BAD_KEY"}, "BAD_KEY"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Mapping[str, Any], problem: str) -> None:
    """The error names what is wrong, and never a key's value."""
    with pytest.raises(SpecError, match=problem) as caught:
        orchestrator_provider(a_config(options, {"BAD_KEY": "sécret"}))

    assert "secret" not in str(caught.value)
    assert "sécret" not in str(caught.value)


def test_the_models_are_those_of_the_user() -> None:
    """The provider knows no model of its own."""
    made = provider({"base_url": "http://127.0.0.1:1/v1/"})

    assert tuple(made.models()) == (MODEL,)
    assert made.simulated is False


# ── faults on the way ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_connection_is_released() -> None:
    """No server listens: nothing can have been billed, and it may pass."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderError) as caught:
            ask(provider({"base_url": f"http://127.0.0.1:{taken.getsockname()[1]}/v1"}))

    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == (ErrorKind.UNREACHABLE, True, Billed.NO)


GOOD = {"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (Fault(cut=-1), ErrorKind.CONNECTION, True),
        (Fault(body=GOOD, cut=20), ErrorKind.CONNECTION, True),
        (Fault(body=GOOD, headers={"content-length": "10"}), ErrorKind.BAD_ANSWER, True),
        (Fault(raw=b"garbage\r\n\r\n"), ErrorKind.CONNECTION, True),
        (Fault(raw=b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000 + b"\r\n"), ErrorKind.CONNECTION, True),
        (Fault(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), ErrorKind.CONNECTION, True),
        (Fault(body="<html>hello</html>", headers={"content-type": "text/html"}), ErrorKind.BAD_ANSWER, True),
        (Fault(body=b"\x1f\x8b" + b"x" * 100, headers={"content-encoding": "gzip"}), ErrorKind.BAD_ANSWER, False),
        (Fault(body=b"x" * 100, headers={"content-encoding": "br"}), ErrorKind.UNREACHABLE, False),
        (
            Fault(body=gzip.compress(bytes(4_000_000)), headers={"content-encoding": "gzip"}),
            ErrorKind.BAD_ANSWER,
            False,
        ),
        (Fault(body=b" " * 200_000), ErrorKind.BAD_ANSWER, False),
        (Fault(204), ErrorKind.BAD_ANSWER, True),
        (Fault(307, headers={"location": "http://127.0.0.1:1/"}), ErrorKind.BAD_REQUEST, False),
    ],
)
def test_a_fault_after_the_request_left_is_unreconciled(fault: Fault, kind: ErrorKind, retryable: bool) -> None:
    """Cut, garbled, oversized and redirected answers are errors of their kind, and may have been billed."""
    error = failed(fault, max_body=100_000)

    assert (error.kind, error.retryable, error.billed) == (kind, retryable, Billed.UNKNOWN)


def test_a_refusal_whose_body_is_cut_is_still_a_refusal() -> None:
    """The status of an error says that nothing was billed, also where its explanation is lost."""
    error = failed(Fault(500, {"error": {"message": "x" * 100}}, cut=10))

    assert (error.kind, error.billed, error.status) == (ErrorKind.SERVER, Billed.NO, 500)


def test_an_answer_in_gzip_is_read() -> None:
    """A server that compresses without being asked is understood."""
    body = gzip.compress(json.dumps(GOOD).encode())
    with OpenAIServer(lambda request: Fault(body=body, headers={"content-encoding": "gzip"})) as server:
        reply = ask(provider({"base_url": server.base_url}))

    assert (reply.text, reply.usage) == ("Hello", Usage(input=3, output=2))


def test_the_key_never_stands_in_an_error() -> None:
    """A server that echoes the key does not get it into the message."""

    def echo(request: Mapping[str, Any]) -> Fault:
        return Fault(401, {"error": {"message": "bad key sk-very-secret"}})

    with OpenAIServer(echo) as server, pytest.raises(ProviderError) as caught:
        ask(provider({"base_url": server.base_url, "api_key_env": "K"}, {"K": "sk-very-secret"}))

    assert "very-secret" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    """The host that a redirect names is never asked."""
    with OpenAIServer(lambda request: "x") as other:
        target = {"location": f"{other.base_url}/chat/completions"}
        failed(Fault(307, headers=target))

        assert other.ledger == ()


def test_a_timeout_of_the_engine_is_not_swallowed() -> None:
    """Cancelling a stalled call raises at once what cancelled it."""

    async def call(base_url: str) -> None:
        made = provider({"base_url": base_url})
        async with make_client() as http, asyncio.timeout(0.2):
            await made.call(made.encode(a_request()), a_context(http))

    with OpenAIServer(lambda request: Fault(stall=60)) as server, pytest.raises(TimeoutError):
        asyncio.run(call(server.base_url))


@pytest.mark.parametrize(
    ("raised", "kind", "billed"),
    [
        (httpx.ConnectTimeout("x"), ErrorKind.UNREACHABLE, Billed.NO),
        (httpx.PoolTimeout("x"), ErrorKind.UNREACHABLE, Billed.NO),
        (httpx.ProxyError("x"), ErrorKind.UNREACHABLE, Billed.NO),
        (httpx.ReadTimeout("x"), ErrorKind.TIMEOUT, Billed.UNKNOWN),
        (httpx.WriteTimeout("x"), ErrorKind.TIMEOUT, Billed.UNKNOWN),
        (httpx.ReadError("x"), ErrorKind.CONNECTION, Billed.UNKNOWN),
        (httpx.WriteError("x"), ErrorKind.CONNECTION, Billed.UNKNOWN),
        (httpx.LocalProtocolError("x"), ErrorKind.UNSENT, Billed.NO),
        (RuntimeError("x"), ErrorKind.PLUGIN, Billed.UNKNOWN),
    ],
)
def test_every_error_of_the_transport_is_classified(raised: Exception, kind: ErrorKind, billed: Billed) -> None:
    """Whatever a transport raises becomes one classified error."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(ProviderError) as caught:
        ask(provider({"base_url": "http://vendor.example/v1"}), transport=httpx.MockTransport(refuse))

    assert (caught.value.kind, caught.value.billed) == (kind, billed)

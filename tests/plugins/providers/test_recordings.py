"""Every recorded exchange is read to what it amounts to: those beside the checkout, and the project's own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish
from orchestrator.money import Usage
from orchestrator.spi import Reply
from orchestrator_providers.keys_and_addresses import Access
from orchestrator_providers.one_call import Vendor
from orchestrator_providers.openai_compatible import OpenAICompatible
from tests.plugins.providers.recorded import EXPECTED, Failed, Said, TokenClasses
from tests.plugins.providers.vendors import VENDORS, built

RECORDINGS: Final = Path(__file__).parents[4] / "shared" / "wire"
OWN: Final = Path(__file__).parents[2] / "data" / "wire"


def token_classes(usage: Usage | None) -> TokenClasses | None:
    """The usage as the tables write it."""
    if usage is None:
        return None
    return (usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning)


def reader(vendor: str, url: str = "") -> Vendor:
    """The provider that reads a vendor's answers."""
    if vendor == "compat":
        return OpenAICompatible(Access("http://127.0.0.1:1", None), ())
    return built(vendor, options={"api": "responses"} if vendor == "openai" and "/responses" in url else {})


def outcome(vendor: Vendor, status: int, headers: Mapping[str, str], body: bytes) -> Said | Failed:
    """What an answer amounts to, as the tables write it."""
    try:
        reply: Reply = vendor.read_answer(status, headers, body)
    except ProviderError as error:
        return Failed(error.kind, error.retryable, error.billed, error.retry_after, token_classes(error.usage))
    return Said(reply.text, reply.finish, token_classes(reply.usage))


def body_of(response: Mapping[str, Any]) -> bytes:
    """The bytes of a recorded body."""
    if "json" in response:
        return json.dumps(response["json"]).encode()
    return str(response.get("sse", response.get("text", ""))).encode()


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the checkout; the project's own are below")
def test_every_recording_has_an_expectation() -> None:
    """No recording is left out, and no expectation is of a recording that is gone."""
    assert {f"{path.parent.name}/{path.stem}" for path in RECORDINGS.glob("*/*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_is_read_to_what_it_amounts_to(name: str) -> None:
    """Text, finish reason and usage by token class of every answer; kind, retry, wait and money of every error."""
    path = RECORDINGS / f"{name}.json"
    if not path.exists():
        pytest.skip("no recordings beside the checkout; the project's own are below")
    recording = json.loads(path.read_text())
    response, expected = recording["response"], EXPECTED[name]
    vendor = reader(path.parent.name, recording["request"]["url"])
    found = outcome(vendor, response["status"], response["headers"], body_of(response))

    if isinstance(found, Said) and isinstance(expected, Said) and expected.length is not None:
        assert found.text.startswith(expected.text)
        found = Said(expected.text, found.finish, found.token_classes, len(found.text))
    assert found == expected


LISTED: Final = {
    "anthropic/models": ("claude-opus-4-7", 9),
    "compat/models": ("/REDACTED_PATH/Qwen3-1.7B-Q4_K_M.gguf", 1),
    "deepseek/models": ("deepseek-v4-flash", 2),
    "openai/models": ("gpt-4o-mini", 110),
}


@pytest.mark.parametrize("name", LISTED)
def test_a_recorded_list_of_models_is_read(name: str) -> None:
    """The names that a vendor serves, from its own list."""
    path = RECORDINGS / f"{name}.json"
    if not path.exists():
        pytest.skip("no recordings beside the checkout")
    response = json.loads(path.read_text())["response"]
    names = reader(path.parent.name).read_list(response["status"], response["headers"], body_of(response))
    known, count = LISTED[name]

    assert known in names
    assert len(names) == len(response["json"]["data"]) == len(set(names))
    assert len(names) >= count


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"data": [{"id": "a"}, {"id": 7}, "b", {}]}', ("a",)),
        (b'{"models": [{"name": "models/g-1"}]}', ("g-1",)),
        (b'{"data": []}', ()),
    ],
)
def test_a_list_of_models_in_every_form(body: bytes, names: tuple[str, ...]) -> None:
    """OpenAI's, Anthropic's and Google's lists; what is no name is passed over."""
    assert reader("google").read_list(200, {}, body) == names


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 7}', b"<html>"])
def test_what_is_no_list_of_models_is_a_bad_answer(body: bytes) -> None:
    """Nothing else is raised, and a refused list is a refusal."""
    with pytest.raises(ProviderError) as caught:
        reader("openai").read_list(200, {}, body)
    assert caught.value.kind is ErrorKind.BAD_ANSWER
    with pytest.raises(ProviderError) as caught:
        reader("openai").read_list(401, {}, b'{"error": {"code": "invalid_api_key"}}')
    assert caught.value.kind is ErrorKind.AUTHENTICATION


def own_cases() -> list[Any]:
    """The project's own exchanges."""
    return [
        pytest.param(vendor, case, id=f"{vendor}/{case['case']}")
        for vendor in VENDORS
        for case in json.loads((OWN / f"{vendor}.json").read_text())
    ]


def as_written(expect: Mapping[str, Any]) -> Said | Failed:
    """The expectation of one of the project's own exchanges."""
    counted = None if expect["token_classes"] is None else tuple(expect["token_classes"])
    if "text" in expect:
        return Said(expect["text"], Finish(expect["finish"]), counted)
    return Failed(ErrorKind(expect["kind"]), expect["retryable"], Billed(expect["billed"]), expect["wait"], counted)


def own_body(case: Mapping[str, Any]) -> bytes:
    """The bytes of one of the project's own bodies."""
    return (case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])).encode()


@pytest.mark.parametrize(("vendor", "case"), own_cases())
def test_an_exchange_of_the_project_is_read_to_what_it_amounts_to(vendor: str, case: Mapping[str, Any]) -> None:
    """The same kinds of answers, streams and errors for a clone without the recordings."""
    assert outcome(reader(vendor), case["status"], case["headers"], own_body(case)) == as_written(case["expect"])


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_kind_of_error_is_among_the_projects_own(vendor: str) -> None:
    """Each vendor's own exchanges cover keys, limits, models, windows, overload, filters, cut streams and faults."""
    kinds = {case["expect"].get("kind") for case in json.loads((OWN / f"{vendor}.json").read_text())}

    assert kinds >= {
        "authentication",
        "bad_answer",
        "bad_request",
        "connection",
        "content_filter",
        "context_length",
        "overloaded",
        "quota",
        "rate_limit",
        "server",
        "timeout",
        "unknown_model",
    }

"""What each vendor is sent: of the shape that it accepted when it was recorded, or that it documents."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models import ModelInfo
from orchestrator.spi import Message, Request
from orchestrator_providers.one_call import Vendor
from orchestrator_providers.structured_output import is_closed, is_strict
from tests.plugins.providers.calls import a_request
from tests.plugins.providers.vendors import CANARY, VENDORS, built, slot_model

RECORDINGS: Final = Path(__file__).parents[4] / "shared" / "wire"
CLOSED: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score"],
    "properties": {"score": {"type": "number"}},
}
OPEN: Final[Mapping[str, Any]] = {"type": "object", "properties": {"score": {"type": "number"}}}
OPAQUE: Final = ("schema", "responseJsonSchema")
ENDPOINTS: Final = ("/chat/completions", "/v1/messages", "enerateContent", "/responses")

DOCUMENTED: Final[Mapping[str, set[tuple[str, str]]]] = {
    "openai": set(),
    "openai/responses": {(".temperature", "float")},
    "anthropic": set(),
    "google": set(),
    "kimi": {
        (".max_completion_tokens", "int"),
        (".thinking", "dict"),
        (".thinking.type", "str"),
        (".stream_options", "dict"),
        (".stream_options.include_usage", "bool"),
    },
    "deepseek": {(".temperature", "float")},
    "minimax": {
        (".max_completion_tokens", "int"),
        (".temperature", "float"),
        (".reasoning_effort", "str"),
        (".stream_options", "dict"),
        (".stream_options.include_usage", "bool"),
    },
    "zhipu": {(".temperature", "float")},
}
"""What is sent and stands in no accepted recording, only in the vendor's documentation."""


def shape(value: Any, path: str = "") -> set[tuple[str, str]]:
    """Every path in a body with the JSON type that stands there; schemas and tools are opaque."""
    found = {(path, type(value).__name__)}
    if isinstance(value, dict) and path.rpartition(".")[2] not in OPAQUE:
        return found.union(*(shape(each, f"{path}.{name}") for name, each in value.items()))
    if isinstance(value, list):
        return found.union(*(shape(each, f"{path}[]") for each in value))
    return found


def accepted(vendor: str) -> set[tuple[str, str]]:
    """The shapes of every recorded request that the vendor answered with success."""
    found: set[tuple[str, str]] = set()
    for path in (RECORDINGS / vendor.partition("/")[0]).glob("*.json"):
        recording = json.loads(path.read_text())
        url, body = recording["request"]["url"], recording["request"].get("json")
        if ("/responses" in url) != vendor.endswith("/responses") or not any(end in url for end in ENDPOINTS):
            continue
        if recording["response"]["status"] == 200 and isinstance(body, dict):
            found |= shape(body)
    return found


def every_request(vendor: Vendor) -> list[Request]:
    """Requests of every kind to every model: with and without a schema, a conversation, a JSON prompt."""
    talk = (
        Message("system", "Answer in JSON."),
        Message("user", "Nine?"),
        Message("assistant", "Ten."),
        Message("user", "No."),
    )
    return [
        evolve(a_request(model=model, json_schema=schema), messages=talk)
        for model in vendor.models()
        for schema in (None, OPEN, CLOSED)
    ]


def variants(name: str) -> list[Vendor]:
    """A vendor's provider with the options that change what is sent."""
    vendor, _, api = name.partition("/")
    given: list[dict[str, Any]] = [
        {},
        {"stream": True},
        {"stream": False},
        {"effort": "high"},
    ]
    return [built(vendor, options={**each, **({"api": api} if api else {})}) for each in given]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_field_that_is_sent_is_one_the_vendor_takes(name: str) -> None:
    """No request has a field, or a type in a field, that no accepted recording and no documentation has."""
    if not RECORDINGS.is_dir():
        pytest.skip("no recordings beside the checkout")
    known = accepted(name) | DOCUMENTED[name]
    sent = {
        each
        for vendor in variants(name)
        for request in every_request(vendor)
        for each in shape(json.loads(vendor.encode(request).content))
    }

    assert {(path, "float" if kind == "int" and path.endswith("temperature") else kind) for path, kind in sent} <= known


@pytest.mark.parametrize("name", DOCUMENTED)
def test_equal_requests_give_equal_bytes_without_the_key(name: str) -> None:
    """Encoding is a function of the request, and what it gives holds no secret."""
    for vendor, twin in zip(variants(name), variants(name), strict=True):
        for request in every_request(vendor):
            body = vendor.encode(request)
            assert body == twin.encode(request)
            assert body.request is request
            assert CANARY.encode() not in body.content
            assert CANARY not in vendor.url(request)


LIMITS: Final = {
    "openai": "max_completion_tokens",
    "anthropic": "max_tokens",
    "kimi": "max_completion_tokens",
    "deepseek": "max_tokens",
    "minimax": "max_completion_tokens",
    "zhipu": "max_tokens",
}


@pytest.mark.parametrize("name", VENDORS)
def test_the_limit_of_the_hold_is_always_sent(name: str) -> None:
    """The output limit travels in the field of the vendor, and thinking counts inside it for every model listed."""
    vendor = built(name)
    for model in vendor.models():
        body = json.loads(vendor.encode(a_request(model=model, max_tokens=77)).content)
        assert (body["generationConfig"]["maxOutputTokens"] if name == "google" else body[LIMITS[name]]) == 77
        assert model.output_bound(77) == 77


def sent(name: str, slot: str, **options: Any) -> dict[str, Any]:
    """The body of a request, asking for JSON by a closed schema, to the model of a slot."""
    vendor = built(name, options=options)
    request = a_request(model=slot_model(vendor, slot), json_schema=CLOSED, text="Answer in JSON.")
    body: dict[str, Any] = json.loads(vendor.encode(request).content)
    return body


def test_json_is_asked_for_as_each_vendor_can() -> None:
    """By schema at OpenAI, Anthropic, Google and Kimi; as JSON at DeepSeek and Zhipu; by the prompt at MiniMax."""
    by_schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": CLOSED, "strict": True}}

    assert sent("openai", "gpt-4o")["response_format"] == by_schema
    assert sent("kimi", "moonshot-v1")["response_format"] == by_schema
    form = {"type": "json_schema", "schema": CLOSED}
    assert sent("anthropic", "claude-opus")["output_config"] == {"effort": "low", "format": form}
    assert sent("google", "gemini-2.5-pro")["generationConfig"]["responseJsonSchema"] == CLOSED
    assert sent("google", "gemini-2.5-pro")["generationConfig"]["responseMimeType"] == "application/json"
    assert sent("deepseek", "deepseek-chat")["response_format"] == {"type": "json_object"}
    assert sent("zhipu", "glm-4")["response_format"] == {"type": "json_object"}
    assert "response_format" not in sent("minimax", "minimax-3")


def test_deepseek_is_asked_for_json_only_by_a_prompt_that_says_so() -> None:
    """The vendor refuses JSON mode without the word in the prompt."""
    vendor = built("deepseek")
    request = a_request(model=slot_model(vendor, "deepseek-chat"), json_schema=CLOSED, text="Answer.")

    assert "response_format" not in json.loads(vendor.encode(request).content)


def test_an_open_schema_is_not_called_strict() -> None:
    """Strictness is claimed only of schemas whose objects are closed, and Anthropic gets no others."""
    openai, anthropic = built("openai"), built("anthropic")
    body = json.loads(openai.encode(a_request(model=slot_model(openai, "gpt-4o"), json_schema=OPEN)).content)
    other = json.loads(
        anthropic.encode(a_request(model=slot_model(anthropic, "claude-opus"), json_schema=OPEN)).content
    )

    assert "strict" not in body["response_format"]["json_schema"]
    assert "format" not in other["output_config"]


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"score": OPEN}}, False),
        ({"type": "array", "items": CLOSED}, True),
        ({"type": "array", "items": OPEN}, False),
        ({"anyOf": [CLOSED, OPEN]}, False),
        ({"type": "string", "enum": ["a"]}, True),
    ],
)
def test_which_schemas_are_closed(schema: Mapping[str, Any], closed: bool) -> None:
    """Every object at every depth has to require all of its properties and allow no other."""
    assert is_closed(schema) is closed


BOUNDED: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "zeta": {"type": "string", "maxLength": 240, "minLength": 1},
        "maxLength": {"type": "integer", "minimum": 0, "maximum": 10},
        "alpha": {"type": "array", "items": {"type": "string", "pattern": "^a$"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["zeta", "maxLength", "alpha"],
    "additionalProperties": False,
}
LOOSE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"zeta": {"type": "string"}, "maxLength": {"type": "integer"}, "alpha": {"type": "array"}},
}


def schemas_in(body: Any) -> list[Any]:
    """What is sent under the names that hold a schema, as it is on the wire."""
    if isinstance(body, list):
        return [found for each in body for found in schemas_in(each)]
    if not isinstance(body, dict):
        return []
    own = [value for name, value in body.items() if name in OPAQUE]
    return own or [found for each in body.values() for found in schemas_in(each)]


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.parametrize("schema", [BOUNDED, LOOSE])
def test_the_keys_of_a_schema_stay_in_their_order_on_the_wire(name: str, schema: Mapping[str, Any]) -> None:
    """A model writes its answer in the order of the schema's keys: grounds come before a score only where they do."""
    for vendor in variants(name):
        for model in vendor.models():
            request = a_request(model=model, json_schema=schema, text="Answer in JSON.")
            for found in schemas_in(json.loads(vendor.encode(request).content)):
                assert list(found) == [word for word in schema if word in found]
                assert list(found["properties"]) == ["zeta", "maxLength", "alpha"]


@pytest.mark.parametrize("name", ["openai", "openai/responses", "anthropic", "google", "kimi"])
def test_bounds_are_left_out_for_vendors_whose_strict_mode_refuses_them(name: str) -> None:
    """The structure is sent as strict, without lengths and ranges; a property that is called like a bound stays."""
    found = [
        each
        for vendor in variants(name)
        for model in vendor.models()
        for each in schemas_in(
            json.loads(vendor.encode(a_request(model=model, json_schema=BOUNDED, text="JSON.")).content)
        )
    ]
    assert found
    for schema in found:
        assert schema["properties"] == {
            "zeta": {"type": "string"},
            "maxLength": {"type": "integer"},
            "alpha": {"type": "array", "items": {"type": "string"}},
        }


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (BOUNDED, True),
        (OPEN, False),
        ({"type": "array", "items": CLOSED}, False),
        ({**CLOSED, "$schema": "https://json-schema.org/draft/2020-12/schema"}, False),
        ({**CLOSED, "properties": {"score": {"type": "string", "format": "date"}}}, False),
        ({**CLOSED, "properties": {"score": {"enum": ["format", "oneOf"]}}}, True),
        ({**CLOSED, "properties": {"score": {"oneOf": [{"type": "string"}]}}}, False),
    ],
)
def test_a_schema_with_anything_unusual_is_not_called_strict(schema: Mapping[str, Any], strict: bool) -> None:
    """A user's own schema must not make a vendor refuse the call."""
    assert is_strict(schema) is strict
    body = sent_schema("openai", "gpt-4o", schema)
    form = body.get("response_format", {}).get("json_schema", {})
    assert form.get("strict", False) is strict
    assert ("format" in sent_schema("anthropic", "claude-haiku", schema)["output_config"]) is strict
    assert ("response_format" in body) is (schema.get("type") == "object")


def sent_schema(name: str, slot: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request that asks for an answer by a schema."""
    vendor = built(name)
    request = a_request(model=slot_model(vendor, slot), json_schema=schema, text="Answer in JSON.")
    body: dict[str, Any] = json.loads(vendor.encode(request).content)
    return body


def test_thinking_is_asked_for_as_each_vendor_can() -> None:
    """Switched off, set low, or left to the model; a spec's effort goes where the model takes one."""
    assert sent("deepseek", "deepseek-chat")["thinking"] == {"type": "disabled"}
    assert sent("deepseek", "deepseek-reasoner")["thinking"] == {"type": "enabled"}
    assert sent("deepseek", "deepseek-reasoner")["reasoning_effort"] == "high"
    assert sent("deepseek", "deepseek-reasoner", effort="max")["reasoning_effort"] == "max"
    assert sent("kimi", "moonshot-v1")["reasoning_effort"] == "low"
    assert sent("kimi", "kimi-k2.6")["thinking"] == {"type": "disabled"}
    assert sent("minimax", "minimax-3")["reasoning_effort"] == "low"
    assert sent("minimax", "MiniMax-M3")["thinking"] == {"type": "disabled"}
    assert sent("minimax", "minimax-3")["reasoning_split"] is True
    assert sent("zhipu", "glm-4")["reasoning_effort"] == "low"
    assert sent("zhipu", "glm-4", effort="max")["reasoning_effort"] == "max"
    assert sent("google", "gemini-2.5-pro")["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "low"}
    assert sent("anthropic", "claude-opus")["output_config"]["effort"] == "low"
    assert sent("anthropic", "claude-opus", effort="high")["output_config"]["effort"] == "high"
    assert sent("openai", "gpt-4o", effort="high")["reasoning_effort"] == "high"
    assert "reasoning_effort" not in sent("openai", "openai/gpt-4o", effort="high")


def temperature(name: str, model: str, asked: float) -> Any:
    """The temperature that is sent."""
    vendor = built(name)
    info = next(each for each in vendor.models() if each.id == model)
    body = json.loads(vendor.encode(evolve(a_request(model=info), temperature=asked)).content)
    return (body["generationConfig"] if name == "google" else body).get("temperature")


@pytest.mark.parametrize(
    ("name", "model", "asked", "reaches"),
    [
        ("openai", "openai/gpt-4o", 0.2, 0.2),
        ("openai", "gpt-6-luna", 0.2, None),
        ("anthropic", "claude-haiku-4-5", 1.5, 1.0),
        ("anthropic", "claude-sonnet-5-5", 0.2, None),
        ("google", "gemini-3.5-flash", 0.2, 0.2),
        ("google", "gemini-3.8-flash", 0.2, None),
        ("deepseek", "deepseek-v4-pro", 0.2, None),
        ("kimi", "kimi-k2.6", 0.2, None),
        ("deepseek", "deepseek-flash", 0.0, 0.0),
        ("minimax", "MiniMax-M3", 0.0, 0.01),
        ("zhipu", "glm-5.3", 1.5, 1.0),
    ],
)
def test_the_temperature_is_one_that_the_model_takes(
    name: str, model: str, asked: float, reaches: float | None
) -> None:
    """Within the vendor's bounds, or left out where the model refuses any."""
    assert temperature(name, model, asked) == reaches


def test_where_system_prompts_stand() -> None:
    """Apart from the conversation at Anthropic and Google, first and one at MiniMax, a message elsewhere."""
    talk = (Message("user", "u1"), Message("system", "s1"), Message("assistant", "a1"), Message("system", "s2"))

    def body(name: str, slot: str, **options: Any) -> Any:
        vendor = built(name, options=options)
        return json.loads(vendor.encode(evolve(a_request(model=slot_model(vendor, slot)), messages=talk)).content)

    assert body("anthropic", "claude-opus")["system"] == "s1\n\ns2"
    assert [each["role"] for each in body("anthropic", "claude-opus")["messages"]] == ["user", "assistant"]
    assert body("google", "gemini-2.5-pro")["systemInstruction"] == {"parts": [{"text": "s1"}, {"text": "s2"}]}
    assert [each["role"] for each in body("google", "gemini-2.5-pro")["contents"]] == ["user", "model"]
    assert body("openai", "gpt-4o", api="responses")["instructions"] == "s1\n\ns2"
    assert body("minimax", "minimax-3")["messages"][0] == {"role": "system", "content": "s1\n\ns2"}
    assert [each["role"] for each in body("deepseek", "deepseek-chat")["messages"]] == [each.author for each in talk]


def test_what_reasons_is_streamed_unless_a_spec_says_otherwise() -> None:
    """A long silence is normal for a reasoning model, so its answer is streamed, and its usage asked for."""
    assert "stream" not in sent("deepseek", "deepseek-chat")
    assert sent("deepseek", "deepseek-reasoner")["stream"] is True
    assert sent("deepseek", "deepseek-reasoner")["stream_options"] == {"include_usage": True}
    assert "stream" not in sent("deepseek", "deepseek-reasoner", stream=False)
    assert sent("deepseek", "deepseek-chat", stream=True)["stream"] is True
    google = built("google")
    urls = {model.id: google.url(a_request(model=model)) for model in google.models()}
    assert urls["gemini-4-argon"].endswith("/models/gemini-4-argon:streamGenerateContent?alt=sse")
    assert "stream" not in sent("openai", "openai/gpt-4o")


@given(st.sampled_from(sorted(VENDORS)), st.text(), st.text(), st.integers(1, 10**6), st.floats(0, 2))
def test_any_text_can_be_sent(name: str, system: str, text: str, limit: int, asked: float) -> None:
    """Every text, surrogates included, becomes valid JSON that holds it."""
    vendor = built_once(name)
    model: ModelInfo = vendor.models()[0]
    request = evolve(a_request(model=model, max_tokens=limit), temperature=asked)
    request = evolve(request, messages=(Message("system", system), Message("user", text)))
    body = json.dumps(json.loads(vendor.encode(request).content))

    cleaned = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    assert json.dumps(cleaned)[1:-1] in body


_BUILT: dict[str, Vendor] = {}


def built_once(name: str) -> Vendor:
    """A vendor's provider, built for the first example only."""
    if name not in _BUILT:
        _BUILT[name] = built(name)
    return _BUILT[name]

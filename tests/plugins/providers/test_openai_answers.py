import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish
from orchestrator.money import Usage
from orchestrator.spi import Reply
from orchestrator_providers.keys_and_addresses import Access
from orchestrator_providers.openai_answers import read_usage
from orchestrator_providers.openai_compatible import OpenAICompatible
from orchestrator_providers.wait_times import retry_after

CHAT: Mapping[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}


def read_answer(status: int, headers: Mapping[str, str], content: bytes, key: str | None = None) -> Reply:
    """The reply in one HTTP answer of a server of OpenAI's format."""
    return OpenAICompatible(Access("http://127.0.0.1:1/v1", key), ()).read_answer(status, headers, content)


def chat(choice: Mapping[str, Any] | None = None, **fields: Any) -> bytes:
    """The chat answer with some of its fields, or of its choice's fields, replaced."""
    choices = [{**CHAT["choices"][0], **(choice or {})}]
    return json.dumps({**CHAT, "choices": choices, **fields}).encode()


def said(content: Any, **fields: Any) -> bytes:
    """The chat answer with another content."""
    return chat({"message": {"role": "assistant", "content": content, **fields}})


def failure(status: int, content: bytes | Mapping[str, Any] = b"", **headers: str) -> ProviderError:
    """The error that an answer is read as."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(ProviderError) as caught:
        read_answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    return caught.value


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_becomes_a_reply_with_disjoint_token_classes() -> None:
    """Cached, written and reasoning tokens are subtracted from the counts that include them."""
    assert read_answer(200, {}, chat()) == Reply(
        "Hello.",
        Usage(input=13, cached_input=5, cache_write=2, output=6, reasoning=4),
        Finish.STOP,
        "chatcmpl-1",
    )


def test_the_request_id_of_a_header_comes_first() -> None:
    """What the vendor's support asks for is the header, where there is one."""
    assert read_answer(200, {"x-request-id": "req_1"}, chat()).request_id == "req_1"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}], "Hello."),
        ([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Hello."}], "Hello."),
        (["Hello", "."], "Hello."),
        ("a\ud800b", "a\ufffdb"),
        ("nul\x00", "nul\x00"),
        ("", ""),
        (None, ""),
        ([], ""),
    ],
)
def test_content_in_every_form(content: Any, text: str) -> None:
    """Parts are joined, lone surrogates replaced, and an empty content is an empty text."""
    assert read_answer(200, {}, said(content)).text == text


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("tool_calls", Finish.OTHER),
        ("eos", Finish.OTHER),
        (None, Finish.OTHER),
        (7, Finish.OTHER),
        ([], Finish.OTHER),
    ],
)
def test_finish_reasons(reason: Any, finish: Finish) -> None:
    """Only stop and length mean something; the rest is other."""
    assert read_answer(200, {}, chat({"finish_reason": reason})).finish is finish


def test_thinking_that_used_up_the_limit_leaves_an_empty_text() -> None:
    """An empty content with the finish length is a reply, with its usage, and not an error."""
    reply = read_answer(200, {}, chat({"finish_reason": "length", "message": {"content": ""}}))

    assert (reply.text, reply.finish) == ("", Finish.LENGTH)
    assert reply.usage is not None


def test_a_byte_order_mark_and_unknown_fields_are_accepted() -> None:
    """What parses is taken: a BOM, white space, unknown fields, further choices."""
    body = b"\xef\xbb\xbf \n" + chat(surprise={"a": [1]}, choices=[CHAT["choices"][0], {"message": None}])

    assert read_answer(200, {}, body).text == "Hello."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        chat()[:-20],
        b"null",
        b"[]",
        b'"x"',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        chat().replace(b": 20,", b": NaN,"),
        chat().replace(b": 20,", b": 1e999,"),
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b'{"n": ' + b"9" * 10_000 + b"}",
        chat(choices=None),
        chat(choices=[]),
        chat(choices=[7]),
        chat(choices=[{}]),
        chat(choices=[{"message": "x"}]),
        said(7),
        said({"text": "x"}),
        b'data: {"choices": []}\n\ndata: [DONE]\n\n',
    ],
)
def test_a_malformed_answer_is_a_bad_answer(body: bytes) -> None:
    """Whatever is wrong with a body of status 200, it is a bad answer that may have been billed."""
    error = failure(200, body)

    assert (error.kind, error.retryable, error.status) == (ErrorKind.BAD_ANSWER, True, 200)
    assert error.billed is (Billed.UNKNOWN if error.usage is None else Billed.YES)


USED = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
NOTHING = {"prompt_tokens": 0, "completion_tokens": 0}


@pytest.mark.parametrize(("one", "other"), [(USED, NOTHING), (NOTHING, USED), (USED, None), (USED, USED)])
def test_of_two_usages_the_larger_settles(one: Any, other: Any) -> None:
    """In one object, and in two chunks of a stream; of another key that stands twice the last value counts."""
    usages = b"".join(b', "usage": ' + json.dumps(each).encode() for each in (one, other))
    body = (
        b'{"id": "a", "id": "b", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]' + usages + b"}"
    )
    reply = read_answer(200, {}, body)
    assert (reply.usage, reply.request_id) == (Usage(input=20, output=10), "b")
    chunks = [{"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}], "usage": one}, {"usage": other}]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    assert read_answer(200, {"content-type": "text/event-stream"}, stream).usage == Usage(input=20, output=10)


def test_what_a_total_has_beyond_its_parts_is_output() -> None:
    """It was billed all the same: 33 in all, 20 of them input."""
    more = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 33}
    assert read_usage(more, text="Hi") == Usage(input=20, output=13)


def test_an_answer_without_choices_is_billed_as_it_says() -> None:
    """Usage beside missing choices is what the vendor charges."""
    error = failure(200, chat(choices=[]))

    assert error.billed is Billed.YES
    assert error.usage == Usage(input=13, cached_input=5, cache_write=2, output=6, reasoning=4)


@pytest.mark.parametrize(
    ("inside", "kind", "retryable"),
    [
        ({"code": 429, "message": "slow down"}, ErrorKind.RATE_LIMIT, True),
        ({"code": 503, "message": "overloaded"}, ErrorKind.OVERLOADED, True),
        ({"code": 401, "message": "no"}, ErrorKind.AUTHENTICATION, False),
        ({"code": 402, "message": "Insufficient credits"}, ErrorKind.QUOTA, False),
        ({"message": "something"}, ErrorKind.SERVER, True),
        ("something", ErrorKind.SERVER, True),
        (["x"], ErrorKind.SERVER, True),
    ],
)
def test_an_error_inside_a_success(inside: Any, kind: ErrorKind, retryable: bool) -> None:
    """An error with status 200 is of the class of its code, and its hold is unreconciled: tokens may have been made."""
    error = failure(200, {"error": inside})

    assert (error.kind, error.retryable, error.billed) == (kind, retryable, Billed.UNKNOWN)


def test_an_empty_error_beside_an_answer_is_none() -> None:
    """Some servers send ``error: null`` with every answer."""
    assert read_answer(200, {}, chat(error=None)).text == "Hello."


@pytest.mark.parametrize(
    "body",
    [
        chat({"finish_reason": "content_filter"}),
        said(None, refusal="I cannot help with that."),
    ],
)
def test_a_refusal_is_no_answer_and_billed(body: bytes) -> None:
    """Filtered and refused answers are not asked for again of this model; their usage is charged."""
    error = failure(200, body)

    assert (error.kind, error.retryable, error.billed) == (ErrorKind.CONTENT_FILTER, False, Billed.YES)


@pytest.mark.parametrize("reason", ["insufficient_system_resource", "network_error"])
def test_an_answer_the_server_broke_off_is_tried_again(reason: str) -> None:
    """Finish reasons that mean a fault of the server are faults of the server."""
    error = failure(200, chat({"finish_reason": reason}))

    assert (error.kind, error.retryable) == (ErrorKind.SERVER, True)


# ── usage ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "20",
        {"prompt_tokens": 20},
        {"completion_tokens": 10},
        {"prompt_tokens": "20", "completion_tokens": 10},
        {"prompt_tokens": 20.0, "completion_tokens": 10},
        {"prompt_tokens": True, "completion_tokens": 10},
        {"prompt_tokens": -20, "completion_tokens": 10},
        {"prompt_tokens": 20, "completion_tokens": -1},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 20, "completion_tokens": 0},
        {"prompt_tokens": 10**18, "completion_tokens": 10},
        {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 29},
        {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": "30"},
        {"prompt_tokens": 20, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 21}},
        {"prompt_tokens": 20, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": 20, "completion_tokens": 10, "prompt_tokens_details": [5]},
        {"prompt_tokens": 20, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 11}},
    ],
)
def test_usage_that_cannot_be_right_is_none(usage: Any) -> None:
    """Missing, inconsistent and absurd counts are no usage, so that the hold is unreconciled."""
    assert read_usage(usage, text="Hello.") is None


@pytest.mark.parametrize(
    ("usage", "token_classes"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3}, Usage(input=9, output=3)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": None}, Usage(input=9, output=3)),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "cached_tokens": 4},
            Usage(input=5, cached_input=4, output=3),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 1},
            Usage(input=1, cached_input=8, output=3),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 62,
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            Usage(input=9, output=3, reasoning=50),
        ),
    ],
)
def test_usage_in_every_form(usage: Any, token_classes: Usage) -> None:
    """Cached tokens are found where vendors put them; reasoning counts outside where the total says so."""
    assert read_usage(usage, text="Hello.") == token_classes


def test_an_empty_answer_may_have_no_output() -> None:
    """No tokens for no text is not absurd."""
    assert read_usage({"prompt_tokens": 9, "completion_tokens": 0}, text="") == Usage(input=9)


# ── refusals ───────────────────────────────────────────────────────────────────────────────────────────────────

_OPENAI = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "error", "kind", "retryable", "billed"),
    [
        (400, {"message": "bad temperature", "type": _OPENAI}, ErrorKind.BAD_REQUEST, False, Billed.NO),
        (400, {"code": "context_length_exceeded"}, ErrorKind.CONTEXT_LENGTH, False, Billed.NO),
        (400, {"type": "exceed_context_size_error", "code": 400}, ErrorKind.CONTEXT_LENGTH, False, Billed.NO),
        (400, {"code": "content_filter", "message": "x"}, ErrorKind.CONTENT_FILTER, False, Billed.NO),
        (400, {"message": "supported API model names are a, b"}, ErrorKind.UNKNOWN_MODEL, False, Billed.NO),
        (400, {"message": "Your credit balance is too low"}, ErrorKind.QUOTA, False, Billed.NO),
        (401, {"code": "invalid_api_key"}, ErrorKind.AUTHENTICATION, False, Billed.NO),
        (402, {"message": "Insufficient Balance"}, ErrorKind.QUOTA, False, Billed.NO),
        (403, {"message": "Country not supported"}, ErrorKind.AUTHENTICATION, False, Billed.NO),
        (403, {"type": "exceeded_current_quota_error"}, ErrorKind.QUOTA, False, Billed.NO),
        (404, {"code": "model_not_found"}, ErrorKind.UNKNOWN_MODEL, False, Billed.NO),
        (405, None, ErrorKind.BAD_REQUEST, False, Billed.NO),
        (408, None, ErrorKind.TIMEOUT, True, Billed.UNKNOWN),
        (409, None, ErrorKind.SERVER, True, Billed.NO),
        (413, None, ErrorKind.CONTEXT_LENGTH, False, Billed.NO),
        (422, {"message": "x"}, ErrorKind.BAD_REQUEST, False, Billed.NO),
        (429, {"code": "rate_limit_exceeded"}, ErrorKind.RATE_LIMIT, True, Billed.NO),
        (429, {"code": "insufficient_quota"}, ErrorKind.QUOTA, False, Billed.NO),
        (429, {"type": "engine_overloaded_error"}, ErrorKind.OVERLOADED, True, Billed.NO),
        (499, None, ErrorKind.TIMEOUT, True, Billed.UNKNOWN),
        (500, {"message": "oops"}, ErrorKind.SERVER, True, Billed.NO),
        (501, {"message": "not supported"}, ErrorKind.BAD_REQUEST, False, Billed.NO),
        (502, None, ErrorKind.SERVER, True, Billed.NO),
        (503, {"message": "Loading model"}, ErrorKind.OVERLOADED, True, Billed.NO),
        (504, None, ErrorKind.TIMEOUT, True, Billed.UNKNOWN),
        (520, None, ErrorKind.SERVER, True, Billed.UNKNOWN),
        (524, None, ErrorKind.TIMEOUT, True, Billed.UNKNOWN),
        (529, {"message": "Overloaded"}, ErrorKind.OVERLOADED, True, Billed.UNKNOWN),
        (599, None, ErrorKind.SERVER, True, Billed.NO),
    ],
)
def test_every_status_is_classified(
    status: int, error: Mapping[str, Any] | None, kind: ErrorKind, retryable: bool, billed: Billed
) -> None:
    """Status and error words decide on kind, retry and money; a body that is no JSON changes nothing."""
    found = failure(status, b"<html>error</html>" if error is None else {"error": error})

    assert (found.kind, found.retryable, found.billed, found.status) == (kind, retryable, billed, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_a_configuration_error(status: int) -> None:
    """A redirect is not followed; the message says where it points and what to correct."""
    error = failure(status, location="https://elsewhere.example/v1")

    assert (error.kind, error.retryable) == (ErrorKind.BAD_REQUEST, False)
    assert "https://elsewhere.example/v1" in str(error)
    assert "base URL" in str(error)


def test_messages_are_short_single_lines_without_the_key() -> None:
    """A vendor that echoes the key, or a page, does not get it into the message."""
    body = ("<p>wrong key sk-secret-123\n" + "x" * 100_000).encode()
    with pytest.raises(ProviderError) as caught:
        read_answer(401, {}, body, "sk-secret-123")

    assert "sk-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).encode()) < 2_100


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────

_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "644", "retry-after": "1"}, 0.644),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"x-retry-after": "3"}, 3.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT", "date": _DATE}, 30.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:07 GMT", "date": _DATE}, 0.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "500ms"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
    ],
)
def test_wait_hints(headers: Mapping[str, str], seconds: float | None) -> None:
    """Milliseconds before seconds before dates; what cannot be read is not given."""
    assert retry_after(headers) == seconds


# ── mutations ───────────────────────────────────────────────────────────────────────────────────────────────


def outcome(status: int, body: bytes, headers: Mapping[str, str]) -> Reply | ProviderError:
    """What an answer is read as; any other exception fails the test."""
    try:
        return read_answer(status, headers, body, "sk-key")
    except ProviderError as error:
        return error


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ["choices", "usage", "error", "id", "object"]


@given(st.binary(max_size=200), st.sampled_from([200, 302, 400, 429, 503]), st.dictionaries(st.text(), st.text()))
def test_any_bytes_are_a_reply_or_an_error(body: bytes, status: int, headers: Mapping[str, str]) -> None:
    """No body and no header makes reading raise anything else."""
    assert isinstance(outcome(status, body, headers), Reply | ProviderError)


@given(st.lists(st.tuples(st.integers(0, len(chat()) - 1), st.integers(0, 255)), max_size=6), st.integers(0, 600))
def test_flipped_and_cut_bodies_are_a_reply_or_an_error(changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes changed anywhere and a body cut anywhere never raise anything else."""
    body = bytearray(chat())
    for place, value in changes:
        body[place] = value

    found = outcome(200, bytes(body[:cut]) if cut < len(body) else bytes(body), {})
    assert isinstance(found, Reply | ProviderError)
    if isinstance(found, Reply) and found.usage is not None:
        assert found.usage.is_sane


@given(st.sampled_from(_FIELDS), _JSON, st.sampled_from(["finish_reason", "message", "error"]), _JSON)
def test_fields_of_any_type_are_a_reply_or_an_error(field: str, value: Any, inner: str, other: Any) -> None:
    """Values of wrong types in any field never raise anything else."""
    for body in (chat(**{field: value}), chat({inner: other}), said(value), chat(usage={"prompt_tokens": value})):
        assert isinstance(outcome(200, body, {}), Reply | ProviderError)


@given(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"]), _JSON)
def test_usage_of_any_type_is_sane_or_none(field: str, value: Any) -> None:
    """Usage is counts that can be right, or None."""
    usage = read_usage({**CHAT["usage"], field: value}, text="x")

    assert usage is None or usage.is_sane

import json

import pytest

from orchestrator.errors import Billed, ErrorKind, ProviderError
from tests.plugins.providers.test_recordings import reader
from tests.plugins.providers.vendors import CANARY, VENDORS, built

FORMATS = {**{name: (name, "") for name in VENDORS}, "responses": ("openai", "/responses"), "compat": ("compat", "")}
OVERLOADED = b'{"error": {"type": "overloaded_error", "message": "overloaded"}}'


def failure(name: str, content: bytes, kind: str = "application/json") -> ProviderError:
    """The error in an answer with a status of success."""
    with pytest.raises(ProviderError) as raised:
        reader(*FORMATS[name]).read_answer(200, {"content-type": kind, "retry-after": "7"}, content)
    return raised.value


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_inside_an_answer_is_classified_and_may_have_been_billed(name: str) -> None:
    """Whatever the vendor: the error's own class, the wait it asks for, and no claim that nothing was billed."""
    error = failure(name, OVERLOADED)
    assert (error.kind, error.retryable, error.billed) == (ErrorKind.OVERLOADED, True, Billed.UNKNOWN)
    assert (error.retry_after, error.status) == (7.0, 200)
    assert str(error) == "an error inside an answer: overloaded"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"[1]", "application/json", "the answer is not a JSON object"),
        (b"data: [1]\n\n", "text/event-stream", "an event of the stream is not a JSON object"),
    ],
)
def test_what_is_no_object_is_a_bad_answer(name: str, content: bytes, kind: str, said: str) -> None:
    """A JSON value of another kind is refused before any vendor's reader sees it, in one piece and in a stream."""
    error = failure(name, content, kind)
    assert (error.kind, error.billed, error.status, str(error)) == (
        ErrorKind.BAD_ANSWER,
        Billed.UNKNOWN,
        200,
        said,
    )


def test_no_part_of_an_error_inside_an_answer_shows_the_key() -> None:
    """A number that is a text may hold it, as every other part of an answer may."""
    for base in ({"status_code": f"1004 {CANARY}", "status_msg": "no"}, {"status_code": 1, "status_msg": [CANARY]}):
        raw = json.dumps({"base_resp": base, "choices": []}).encode()
        with pytest.raises(ProviderError) as caught:
            built("minimax").read_answer(200, {}, raw)
        assert "an error inside an answer" in str(caught.value)
        assert CANARY not in str(caught.value)

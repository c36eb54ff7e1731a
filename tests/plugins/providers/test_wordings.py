"""Every wording of the table, as its vendor sends it: what it means, and that nothing of the table is unproved."""

import json
import re

import pytest

from orchestrator.errors import ErrorKind
from orchestrator.spi import ProviderConfig, ProviderError
from orchestrator_providers import openai_compatible
from orchestrator_providers.error_wordings import WORDINGS, Wording, is_beyond_the_limit
from orchestrator_providers.one_call import Vendor
from orchestrator_providers.text_without_keys import words_of
from orchestrator_providers.wait_times import wait_in_text
from tests.plugins.providers.refusals import MINUTES, REFUSALS, Refusal
from tests.plugins.providers.vendors import built


def reader(name: str) -> Vendor:
    """The provider that reads a row."""
    if name == "openai_compatible":
        config = ProviderConfig(name, {"base_url": "http://127.0.0.1:9/v1"}, (), lambda key: None, lambda key: None)
        made = openai_compatible.orchestrator_provider(config)
        assert isinstance(made, Vendor)
        return made
    vendor, _, api = name.partition(":")
    return built(vendor, options={"api": api} if api else None)


def refused(row: Refusal) -> ProviderError:
    """How the row is read: a whole answer, or an event in a stream of status 200."""
    content = json.dumps(row.body).encode()
    headers = {"content-type": "application/json", **row.headers}
    if row.status == 200:
        content, headers["content-type"] = b"data: " + content + b"\n\n", "text/event-stream"
    with pytest.raises(ProviderError) as caught:
        reader(row.vendor).read_answer(row.status, headers, content)
    return caught.value


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_a_wording_means_what_the_table_says(row: Refusal) -> None:
    """Its class; how long to wait, where it says so; and that what cannot pass is not tried again."""
    error = refused(row)
    assert error.kind is row.kind
    assert error.retry_after == row.wait
    passes = row.kind in (ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED) and row not in MINUTES
    assert error.retryable is passes


@pytest.mark.parametrize(
    ("wording", "phrase"),
    [pytest.param(each, phrase, id=f"{each.name}: {phrase}") for each in WORDINGS for phrase in each.phrases],
)
def test_no_phrase_of_the_table_is_without_a_row(wording: Wording, phrase: str) -> None:
    """Each is in an answer of the rows above that is of its class."""
    said = [
        words_of(row.body.get("response") or row.body.get("error", row.body))
        for row in REFUSALS
        if row.kind is wording.kind
    ]
    assert any(re.search(phrase, words) for words in said)


@pytest.mark.parametrize(
    ("words", "beyond"),
    [
        ("limit 10000, used 9000, requested 2000", False),
        ("limit 10000, used 0, requested 10000", False),
        ("limit: 10,000 requested: 10,001", True),
        ("limit 5, and nothing more", False),
    ],
)
def test_a_request_is_too_large_by_its_numbers(words: str, beyond: bool) -> None:
    """Only one that asks for more than the whole window never fits."""
    assert is_beyond_the_limit(words) is beyond


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 1h2m3s.", 3723.0),
        ("Retry-After: 20 seconds", 20.0),
        ("please wait for 5 minutes", 300.0),
        ("try again in about 2 hours", 7200.0),
        ("try again in 1 hour 30 minutes", None),
        ("try again later", None),
        ("try again in 3 days", None),
        ("waited 3 s", None),
        ("", None),
    ],
)
def test_a_wait_is_read_from_a_text_or_not_at_all(text: str, seconds: float | None) -> None:
    """What is not plain is no wait: the program's own pause is used."""
    assert wait_in_text(text) == seconds

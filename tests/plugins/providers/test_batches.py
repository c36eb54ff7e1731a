"""The batch protocols of the three vendors, on bodies as their documentation shows them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orchestrator.engine.vendors.http import make_client
from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.money import Price, Rate, Usage, Usd
from orchestrator.spi import BatchOrder, BatchProvider, BatchRequest, BatchResults, Reply
from orchestrator_providers.batching import BatchVendor
from tests.plugins.providers.calls import a_context, a_request
from tests.plugins.providers.vendors import CANARY, built

IDS: Final = tuple(letter * 64 for letter in "abcd")
KEY: Final = "f" * 64
NAMES: Final = ("openai", "anthropic", "google")
SUBMITTED: Final = {"openai": "batch_68f1", "anthropic": "msgbatch_013Z", "google": "batches/123456"}
Paths = dict[tuple[str, str], Any]


def bodies(name: str) -> Mapping[str, Any]:
    """The recorded bodies of a vendor."""
    found: Mapping[str, Any] = json.loads((Path(__file__).parents[2] / f"data/batches/{name}.json").read_text())
    return found


def paths(name: str, *, state: str = "ended", listed: str = "list") -> Paths:
    """What the vendor answers, by method and path; a list stands for JSON lines, a number for a status alone."""
    body = bodies(name)
    if name == "openai":
        return {
            ("POST", "/v1/files"): body["file"],
            ("POST", "/v1/batches"): body["created"],
            ("GET", "/v1/batches"): body[listed],
            ("GET", "/v1/batches/batch_68f1"): body[state],
            ("GET", "/v1/files/file-out/content"): body["results"],
            ("GET", "/v1/files/file-err/content"): body["errors"],
            ("POST", "/v1/batches/batch_68f1/cancel"): body["running"],
        }
    if name == "anthropic":
        return {
            ("POST", "/v1/messages/batches"): body["created"],
            ("GET", "/v1/messages/batches"): body[listed],
            ("GET", "/v1/messages/batches/msgbatch_013Z"): body[state],
            ("GET", "/v1/messages/batches/msgbatch_013Z/results"): body["results"],
            ("POST", "/v1/messages/batches/msgbatch_013Z/cancel"): body["running"],
        }
    return {
        ("POST", "/v1beta/models/gemini-3.5-flash-lite:batchGenerateContent"): body["created"],
        ("GET", "/v1beta/batches"): body[listed],
        ("GET", "/v1beta/batches/123456"): body[state],
        ("POST", "/v1beta/batches/123456:cancel"): {},
    }


def vendor_of(name: str, **options: Any) -> BatchVendor:
    """The provider of a vendor."""
    made = built(name, options=options)
    assert isinstance(made, BatchVendor)
    return made


def order_of(vendor: BatchVendor, name: str) -> BatchOrder:
    """A batch of four requests to the vendor's cheapest model."""
    wire = {"openai": "gpt-6-luna", "anthropic": "claude-haiku-5-5", "google": "gemini-3.5-flash-lite"}[name]
    model = next(each for each in vendor.models() if each.sent_name == wire)
    body = vendor.encode(a_request(model=model))
    return BatchOrder(KEY, 1_780_000_000.0, [BatchRequest(each, body) for each in IDS])


def asked(name: str, answers: Paths, method: str, *arguments: Any, **options: Any) -> tuple[Any, list[httpx.Request]]:
    """What a method returns or raises against recorded answers, and what was sent."""
    sent: list[httpx.Request] = []
    vendor = vendor_of(name, **options)

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        found = answers.get((request.method, request.url.path), 404)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, int):
            return httpx.Response(found, json={"error": {"message": "no", "type": "api_error"}})
        if isinstance(found, list):
            return httpx.Response(200, text="\n".join(map(json.dumps, found)))
        return httpx.Response(200, json=found)

    async def call() -> Any:
        async with make_client(transport=httpx.MockTransport(respond)) as http:
            given = arguments if arguments else [order_of(vendor, name)]
            try:
                return await getattr(vendor, method)(*given, a_context(http))
            except ProviderError as error:
                return error

    return asyncio.run(call()), sent


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_submitted_with_our_ids_and_without_streams(name: str) -> None:
    """The vendor's id comes back; each request has its id, and the key goes to the vendor alone."""
    found, sent = asked(name, paths(name), "submit_batch", stream=True)
    assert found == SUBMITTED[name]
    text = b"".join(each.content for each in sent).decode()
    assert all(text.count(each) == 1 for each in IDS)
    assert '"stream' not in text
    assert (KEY in text) is (name != "anthropic")  # it has no place for it
    assert CANARY not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_that_was_submitted_is_found(name: str) -> None:
    """By our key, or by our ids in its results."""
    assert asked(name, paths(name), "find_batch")[0] == SUBMITTED[name]
    empty = {"data": [], "operations": [], "has_more": False}
    page = {key: empty if key[0] == "GET" and key[1].endswith("batches") else each for key, each in paths(name).items()}
    assert asked(name, page, "find_batch")[0] is None


def test_a_batch_of_anthropic_that_may_be_ours_is_waited_for() -> None:
    """Whose it is is known only from its results: until then it is not said that there is none."""
    found, _ = asked("anthropic", paths("anthropic", listed="list_undecided"), "find_batch")
    assert isinstance(found, ProviderError)
    assert (found.retryable, found.billed) == (True, Billed.UNKNOWN)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_read_one_by_one(name: str) -> None:
    """An answer, an error of one request, and what the vendor did not get to."""
    assert asked(name, paths(name, state="running"), "collect_batch", SUBMITTED[name])[0] is None
    found, sent = asked(name, paths(name), "collect_batch", SUBMITTED[name])
    assert isinstance(found, BatchResults)
    assert {each.url.host for each in sent} == {sent[0].url.host}  # the key does not follow an address in an answer
    answer, refused, *undone = [found.results.get(each, found.rest) for each in IDS]
    assert isinstance(answer, Reply)
    assert (answer.text, answer.usage) == ("Nine.", Usage(input=24, output=3))
    assert isinstance(refused, ProviderError)
    assert (refused.kind, refused.billed) == (ErrorKind.BAD_REQUEST, Billed.NO)
    for each in undone:
        assert isinstance(each, ProviderError)
        assert (each.retryable, each.billed) == (True, Billed.NO)


@pytest.mark.parametrize(
    ("line", "billed"),
    [
        ({"response": {"status_code": 504, "body": {"error": {"message": "m"}}}}, Billed.NO),
        ({"response": {"status_code": 520, "body": None}}, Billed.NO),
        ({"response": None, "error": {"code": "server_error", "message": "m"}}, Billed.NO),
        ({"response": {"status_code": 200, "body": None}}, Billed.UNKNOWN),
        ({}, Billed.UNKNOWN),
    ],
)
def test_a_request_that_failed_in_a_batch_of_openai_is_charged_for_nothing(
    line: Mapping[str, Any], billed: Billed
) -> None:
    """Whatever status it failed with; only where an answer may be lost is that not known."""
    answers = {**paths("openai"), ("GET", "/v1/files/file-out/content"): [{"custom_id": IDS[0], **line}]}
    found, _ = asked("openai", answers, "collect_batch", SUBMITTED["openai"])
    error = found.results[IDS[0]]
    assert isinstance(error, ProviderError)
    assert error.billed is billed


def test_a_batch_that_openai_refuses_is_charged_for_nothing() -> None:
    """A queue that is full is a rate limit of every request."""
    found, _ = asked("openai", paths("openai", state="failed"), "collect_batch", SUBMITTED["openai"])
    assert isinstance(found, BatchResults)
    assert not found.results
    assert found.rest is not None
    assert (found.rest.kind, found.rest.retryable, found.rest.billed) == (ErrorKind.RATE_LIMIT, True, Billed.NO)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("answer", "billed"), [(500, Billed.UNKNOWN), (429, Billed.NO), (400, Billed.NO)])
def test_a_submission_that_may_have_arrived_is_not_said_to_have_failed(name: str, answer: int, billed: Billed) -> None:
    """An error of the server's says nothing of the batch; a refusal does."""
    created = next(key for key in paths(name) if key[0] == "POST" and not key[1].endswith("files"))
    found, _ = asked(name, {**paths(name), created: answer}, "submit_batch")
    assert isinstance(found, ProviderError)
    assert found.billed is billed


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_connection_leaves_it_open(name: str) -> None:
    """The request has left, and no answer came."""
    created = next(key for key in paths(name) if key[0] == "POST" and not key[1].endswith("files"))
    found, _ = asked(name, {**paths(name), created: httpx.ReadError("gone")}, "submit_batch")
    assert isinstance(found, ProviderError)
    assert found.billed is Billed.UNKNOWN


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_cancelled(name: str) -> None:
    """With one request."""
    found, sent = asked(name, paths(name), "cancel_batch", SUBMITTED[name])
    assert found is None
    assert [each.method for each in sent] == ["POST"]


@pytest.mark.parametrize("name", NAMES)
def test_batches_cost_half_and_can_be_switched_off(name: str) -> None:
    """Every priced model has the price of batches, unless the spec says that none are sold."""
    for model in vendor_of(name).models():
        assert model.price is not None
        assert model.batch_price is not None
        assert model.batch_price.input.nano * 2 == model.price.input.nano
        assert model.batch_price.output.nano * 2 == model.price.output.nano
    assert all(model.batch_price is None for model in vendor_of(name, batches=False).models())


def test_half_a_price_is_exact_and_never_less_than_half() -> None:
    """Token classes and rates are halved and rounded up; what Google reads from its cache costs the same."""
    price = Price(Usd(5), Usd(8), Usd(3), rates=(Rate(Usd(7), Usd(9), Usd(1), over=200),))
    half = price.halved
    assert (half.input, half.output, half.cached_input) == (Usd(3), Usd(4), Usd(2))
    assert (half.rates[0].input, half.rates[0].output, half.rates[0].over) == (Usd(4), Usd(5), 200)
    google = vendor_of("google").batch_price(price)
    assert (google.input, google.cached_input, google.rates[0].cached_input) == (Usd(3), Usd(3), Usd(1))


def test_only_vendors_that_sell_batches_offer_them() -> None:
    """The others have none of the methods."""
    assert isinstance(vendor_of("openai"), BatchProvider)
    assert not isinstance(built("deepseek"), BatchProvider)

"""Whatever a vendor's body has become on its way, reading it gives a reply or a classified error."""

import asyncio
import gzip
import json
import os
import random
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orchestrator.engine.vendors.http import make_client
from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.spi import Reply
from orchestrator_providers.one_call import Vendor
from tests.plugins.providers.calls import a_context, a_request
from tests.plugins.providers.vendors import CANARY, VENDORS, built

OWN: Final = Path(__file__).parents[2] / "data" / "wire"
Bodies = list[tuple[int, Mapping[str, str], bytes]]


def bodies(name: str) -> Bodies:
    """Every body of the project's own exchanges of a vendor."""
    found = []
    for case in json.loads((OWN / f"{name}.json").read_text()):
        body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
        found.append((case["status"], case["headers"], body.encode()))
    return found


def flipped(raw: bytes, draw: random.Random) -> bytes:
    """A few bytes changed."""
    body = bytearray(raw)
    for _ in range(draw.randint(1, 6)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return bytes(body)


def cut(raw: bytes, draw: random.Random) -> bytes:
    """Cut anywhere."""
    return raw[: draw.randrange(len(raw))]


def doubled(raw: bytes, draw: random.Random) -> bytes:
    """A stretch repeated: keys and events stand twice."""
    start, end = sorted(draw.randrange(len(raw)) for _ in range(2))
    return raw[:end] + raw[start:end] + raw[end:]


def dropped(raw: bytes, draw: random.Random) -> bytes:
    """A stretch missing."""
    start, end = sorted(draw.randrange(len(raw)) for _ in range(2))
    return raw[:start] + raw[end:]


NUMBERS: Final = (b"NaN", b"-Infinity", b"1e999", b"-1", b"1.5", b'"7"', b"null", b"1e18", b"9" * 400, b"true", b"[]")


def renumbered(raw: bytes, draw: random.Random) -> bytes:
    """A number replaced by something that is none, or none to count with."""
    places = [place for place in range(1, len(raw) - 1) if raw[place : place + 1].isdigit()]
    if not places:
        return raw
    place = draw.choice(places)
    end = place
    while raw[end : end + 1].isdigit():
        end += 1
    return raw[:place] + draw.choice(NUMBERS) + raw[end:]


def retyped(raw: bytes, draw: random.Random) -> bytes:
    """A value anywhere in the JSON, in each event of a stream, replaced by one of another type."""
    lines = raw.split(b"\n")
    for at, line in enumerate(lines):
        start = line.find(b"{")
        if start >= 0 and draw.random() < 0.7:
            try:
                lines[at] = line[:start] + json.dumps(_retyped(json.loads(line[start:]), draw)).encode()
            except (ValueError, RecursionError):
                continue
    return b"\n".join(lines)


def _retyped(value: Any, draw: random.Random) -> Any:
    if draw.random() < 0.08:
        return draw.choice([None, True, -1, 0, 10**18, 1.5, "", "x", "\ud800", [], [None], [[]], {}, {"text": 7}])
    if isinstance(value, dict):
        return {name: _retyped(each, draw) for name, each in value.items()}
    return [_retyped(each, draw) for each in value] if isinstance(value, list) else value


def nested(raw: bytes, draw: random.Random) -> bytes:
    """A value nested far too deeply."""
    depth = draw.choice([10, 500, 3_000, 100_000])
    place = raw.find(b":", draw.randrange(len(raw))) + 1
    return raw[:place] + b'{"a":[' * depth + raw[place:]


def undecodable(raw: bytes, draw: random.Random) -> bytes:
    """Bytes that are no UTF-8."""
    place = draw.randrange(len(raw))
    return raw[:place] + draw.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf"]) + raw[place:]


def echoing(raw: bytes, draw: random.Random) -> bytes:
    """The key of the request echoed somewhere."""
    place = draw.randrange(len(raw))
    return raw[:place] + json.dumps(CANARY)[1:-1].encode() + raw[place:]


MUTATIONS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    flipped,
    cut,
    doubled,
    dropped,
    renumbered,
    retyped,
    nested,
    undecodable,
    echoing,
)
STATUSES: Final = (200, 200, 200, 302, 400, 401, 403, 404, 408, 422, 429, 500, 503, 504, 529, 599)
HEADERS: Final = (
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-tokens-reset",
    "date",
)
WAITS: Final = (
    "1",
    "-1",
    "nan",
    "inf",
    "999999999999999",
    "soon",
    "1h2m3.5s",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "²",
    "Fri, 31 Dec 9999 23:59:59 -1200",
    "",
)


def check(vendor: Vendor, given: Bodies, draw: random.Random) -> None:
    """One mutated body."""
    status, headers, raw = draw.choice(given)
    for _ in range(draw.randint(1, 2)):
        raw = draw.choice(MUTATIONS)(raw or b" ", draw)
    if draw.random() < 0.3:
        status = draw.choice(STATUSES)
    if draw.random() < 0.2:
        headers = {**headers, draw.choice(HEADERS): draw.choice(WAITS)}
    found = outcome(vendor, status, headers, raw)
    assert found.usage is None or found.usage.is_sane
    if isinstance(found, Reply):
        assert isinstance(found.text, str)
        found.text.encode()
        assert found.request_id is None or CANARY not in found.request_id
        return
    assert CANARY not in str(found)
    assert len(str(found)) < 5_000
    assert found.retry_after is None or 0 <= found.retry_after < float("inf")
    assert found.usage is None or found.billed is Billed.YES


def outcome(vendor: Vendor, status: int, headers: Mapping[str, str], raw: bytes) -> Reply | ProviderError:
    """What an answer is read as; any other exception is raised."""
    try:
        return vendor.read_answer(status, headers, raw)
    except ProviderError as error:
        return error


def check_many(name: str, seed: int, count: int) -> None:
    """So many mutated bodies of one vendor; a failure names the seed of the one body."""
    vendor, given = built(name), bodies(name)
    for number in range(seed, seed + count):
        try:
            check(vendor, given, random.Random(number))
        except Exception as error:
            raise AssertionError(f"{name}, body {number}") from error


@pytest.mark.parametrize("name", VENDORS)
def test_some_hundred_mutated_bodies_are_a_reply_or_an_error(name: str) -> None:
    """No damage makes reading raise anything else, invent usage, or show the key."""
    check_many(name, 0, 600)


@pytest.mark.heavy
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("part", range(4))
def test_a_hundred_thousand_mutated_bodies_are_a_reply_or_an_error(name: str, part: int) -> None:
    """The same for 100,000 bodies over all vendors: others in each run, but the same where a change is judged."""
    is_judged = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
    check_many(name, 10**12 * (part + 1) if is_judged else random.randrange(10**12), 3_600)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("name", VENDORS)
def test_a_bomb_costs_megabytes(name: str, kind: str) -> None:
    """An answer that unpacks to 80 MB is refused long before it is in memory, streamed or not."""
    bomb = gzip.compress(b"data: x\n\n" * 100 + bytes(80_000_000), 1)
    vendor = built(name, options={"stream": kind == "text/event-stream"})
    headers = {"content-type": kind, "content-encoding": "gzip"}

    async def call() -> None:
        transport = httpx.MockTransport(
            lambda request: httpx.Response(200, headers=headers, stream=httpx.ByteStream(bomb))
        )
        async with make_client(transport=transport, max_body=500_000) as http:
            request = a_request(model=vendor.models()[0])
            await vendor.call(vendor.encode(request), a_context(http))

    tracemalloc.start()
    try:
        with pytest.raises(ProviderError) as caught:
            asyncio.run(call())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (caught.value.kind, caught.value.billed) == (ErrorKind.BAD_ANSWER, Billed.UNKNOWN)
    assert peak < 8_000_000

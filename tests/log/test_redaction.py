import asyncio
import base64
import re
from urllib.parse import quote

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.events import TYPES, Event, PluginUsed, RunForked, SessionOpened, SpendReconciled, TaskStarted
from orchestrator.log import Redactor, Texts
from orchestrator.log.redaction import MARK, SHORTEST
from orchestrator.testing.events import event_of
from orchestrator.testing.simulation.memory_log import memory_log

KEY = 'sk-proj-S3cret/Key+With"odd\\chars&äöü=42'


def redactor() -> Redactor:
    """A redactor that knows the key."""
    made = Redactor()
    made.add(KEY)
    return made


@pytest.mark.parametrize("padding", ["", "a", "ab"])
@pytest.mark.parametrize("altchars", [b"+/", b"-_"])
def test_base64_is_found_at_every_alignment(padding: str, altchars: bytes) -> None:
    """A key inside a longer encoded text is taken out wherever it begins; at most its edges stay."""
    key = "sk-~~~???>>>~?>~?>"
    encoded = base64.b64encode(f"{padding}{key}tail".encode(), altchars).decode()
    assert set(altchars.decode()) <= set(encoded), "only then do the two alphabets differ"
    made = Redactor()
    made.add(key)

    redacted = made.values(f"header {encoded} end")

    before, after = redacted.removeprefix("header ").removesuffix(" end").split(MARK)
    assert len(before) <= 3
    assert len(after) <= 10
    assert encoded.startswith(before)
    assert encoded.endswith(after)


@given(
    key=st.text(min_size=SHORTEST, max_size=40).filter(lambda text: len(text.strip()) >= SHORTEST),
    before=st.binary(max_size=9),
    after=st.binary(max_size=9),
    altchars=st.sampled_from([b"+/", b"-_"]),
)
def test_base64_of_any_key_is_found(key: str, before: bytes, after: bytes, altchars: bytes) -> None:
    """Every character that depends on the key alone is gone, whatever stands around the key."""
    raw, made = key.strip().encode("utf-8", "surrogatepass"), Redactor()
    made.add(key)
    encoded = base64.b64encode(before + raw + after, altchars).decode()
    first, last = -(-8 * len(before) // 6), 8 * (len(before) + len(raw)) // 6
    redacted = made.values(encoded)
    assert MARK in redacted
    assert encoded[first:last] not in redacted


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        quote(KEY, safe=""),
        quote(KEY),
        re.sub("%..", lambda match: match[0].lower(), quote(KEY)),
    ],
)
def test_a_value_is_found_in_its_forms(form: str) -> None:
    """Raw, hexadecimal and URL forms are taken out, and nothing else."""
    assert redactor().values(f"<{form}>") == f"<{MARK}>"


def test_short_values_are_left_alone() -> None:
    """A value below eight characters would eat ordinary words."""
    made = Redactor()
    made.add("value")

    assert made.values("a value") == "a value"


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-test-4f9a8b7c6d5e",
        "Authorization: Bearer abc.def.ghi",
        "x-api-key: 0123456789abcdef",
        "GET https://host/v1?key=AIzaSyA1234567890abcd&alt=json",
        '{"api_key": "0123456789abcdef"}',
        "AIzaSyA1234567890abcd is not valid",
    ],
)
def test_shapes_of_keys_are_taken_out_of_untrusted_text(text: str) -> None:
    """Key-like shapes go from errors and URLs, and stay in content."""
    made = redactor()
    secret = next(
        part
        for part in ("sk-test-4f9a8b7c6d5e", "abc.def.ghi", "0123456789abcdef", "AIzaSyA1234567890abcd")
        if part in text
    )

    assert secret not in made.shapes(text)
    assert MARK in made.shapes(text)
    assert made.values(text) == text


def test_a_part_of_a_value_is_taken_out_of_untrusted_text() -> None:
    """A vendor that echoes most of a key does not get it into the log."""
    text = f"bad key …{KEY[-20:]}, sorry"

    assert redactor().shapes(text) == f"bad key …{MARK}, sorry"


def test_ordinary_prose_keeps_its_words() -> None:
    """A text without keys is not touched by shapes."""
    text = "The monkey token ring: a risk-based task, sk- alone; status 429 after 3 tries."

    assert Redactor().shapes(text) == text


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_event_brings_a_key_into_the_log(data: st.DataObject) -> None:
    """A canary in any text field of any event is not in any stored byte, and the event still decodes."""
    cls = data.draw(st.sampled_from([each for each in TYPES.values() if each is not SpendReconciled]))  # needs its call
    event = data.draw(event_of(cls).map(_with_canary))
    log = memory_log(redactor=redactor())

    committed = asyncio.run(log.append("run", 0, 1, [event]))

    stored = committed.records[0].data
    assert KEY not in stored
    assert "S3cret" not in stored
    assert committed.events[0] == committed.records[0].event
    assert all(len(line) == 64 for line in [committed.hash])


def _with_canary(event: Event) -> Event:
    """The event with the key in every field that is a plain text; a fork shares nothing, so that any log takes it."""
    if isinstance(event, RunForked):
        event = attrs.evolve(event, version=0)
    changed = {
        field: f"see {KEY}!"
        for field in type(event).__slots__  # type: ignore[attr-defined]
        if isinstance(getattr(event, field, None), str) and type(getattr(event, field)) is str
    }
    return attrs.evolve(event, **changed) if changed else TaskStarted(KEY)


def test_parameters_of_plugins_are_redacted() -> None:
    """Free values inside an event are no way around redaction; field names that look like a key stay."""
    made = redactor()
    made.add("parameters")
    log = memory_log(redactor=made)
    plugin = PluginUsed("backend", "b", "d", "1", {"deep": [{"inner": f"x{KEY}"}]})
    event = SessionOpened(1, 1, "1", (plugin,), (), {}, False, {})

    committed = asyncio.run(log.append("run", 0, 1, [event]))

    assert isinstance(committed.events[0], SessionOpened)
    assert committed.events[0].plugins[0].parameters == {"deep": [{"inner": f"x{MARK}"}]}


def test_texts_are_redacted_before_they_get_their_digest() -> None:
    """A prompt loses key values; an error also loses key shapes."""
    texts = Texts(memory_log(), "run", bytes, redactor())

    plain, error = texts.put(f"use {KEY} and sk-test-123456"), texts.put("no sk-test-123456", shapes=True)

    assert texts.get(plain) == f"use {MARK} and sk-test-123456"
    assert texts.get(error) == f"no {MARK}"

"""Keys in answers: in no form, cut or spelled, do they reach the log; and short keys eat no words."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.log import Redactor
from orchestrator.log.key_fragments import FRAGMENT, secret_part
from orchestrator.log.redaction import MARK
from orchestrator_providers.text_without_keys import one_line
from tests.cli.command import orchestrate, scripted_spec

KEY = "sk-ant-api03-Zq7Rw2Lx9TbVf4NcYh8KsPd3"
SECRET = KEY.removeprefix("sk-ant-api03-")


def redactor(*keys: str) -> Redactor:
    """One that knows the keys."""
    made = Redactor()
    for key in keys or (KEY,):
        made.add(key)
    return made


@pytest.mark.parametrize(
    "written",
    [
        SECRET[:FRAGMENT],
        SECRET[-FRAGMENT:],
        SECRET[5:18],
        KEY.upper(),
        SECRET.lower(),
        " ".join(SECRET),
        "-".join(SECRET),
        "\n".join(SECRET),
        '" + "'.join((SECRET[:8], SECRET[8:16], SECRET[16:])),
        base64.b32encode(KEY.encode()).decode(),
        base64.b32encode(KEY.encode()).decode().lower(),
        base64.b85encode(KEY.encode()).decode(),
        base64.a85encode(KEY.encode()).decode(),
        base64.b32encode(f"key: {KEY}!".encode()).decode(),
        base64.b85encode(f"abc{KEY}!".encode()).decode(),
    ],
)
def test_a_key_is_taken_out_however_it_is_written(written: str) -> None:
    """In an answer, and in the JSON of an event."""
    assert MARK in redactor().values(f"The value is {written}, as you see.")
    assert MARK in redactor().shapes(f"The value is {written}, as you see.")
    left = redactor().values(f"{written}")
    assert SECRET[:FRAGMENT].lower() not in left.replace(" ", "").lower()


@given(st.text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=16, max_size=60), st.data())
def test_no_twelve_characters_of_a_secret_part_are_left(secret: str, data: st.DataObject) -> None:
    """Whatever is cut out of it, wherever it stands."""
    start = data.draw(st.integers(0, len(secret) - FRAGMENT))
    end = data.draw(st.integers(start + FRAGMENT, len(secret)))
    around = data.draw(st.text(max_size=30))
    left = redactor(f"sk-proj-{secret}").values(f"{around} {secret[start:end]} {around}")
    parts = {secret[place : place + FRAGMENT] for place in range(len(secret) - FRAGMENT + 1)}
    assert not [part for part in parts if part in left]


@given(st.text())
def test_a_text_without_a_key_stays(text: str) -> None:
    """Nothing else is touched: the public prefix of a vendor is no secret."""
    assert redactor().values(text) == text
    assert redactor().values(f"{text} sk-ant-api03-…") == f"{text} sk-ant-api03-…"


def test_ordinary_words_are_no_key() -> None:
    """A key that ordinary words could spell is taken out as it is, and prose that resembles it stays."""
    made = redactor("local-model-server")
    assert made.values("Authorization: local-model-server") == f"Authorization: {MARK}"
    assert made.values("Start the local model server first.") == "Start the local model server first."


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (KEY, SECRET),
        ("sk-proj-abcdefgh1", "abcdefgh1"),
        ("sk-abc", "sk-abc"),
        ("AIzaSyA1b2C3d4E5", "A1b2C3d4E5"),
        ("mine-1234567890", "mine-1234567890"),
    ],
)
def test_the_secret_part(key: str, part: str) -> None:
    """A key without its vendor's beginning, unless hardly anything is left."""
    assert secret_part(key) == part


@pytest.mark.parametrize("key", ["x", "ex", "exceede"])
def test_a_short_key_eats_no_words(key: str) -> None:
    """Below eight characters a key is left alone, in the log and in messages alike."""
    assert one_line("You exceeded your quota", key) == "You exceeded your quota"
    assert redactor(key).values("You exceeded your quota") == "You exceeded your quota"
    assert one_line("the key 12345678 is wrong", "12345678") == "the key [key] is wrong"


def test_a_short_key_is_warned_of(tmp_path: Path) -> None:
    """Its user hears that it cannot be taken out, once."""
    options = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "MY_KEY"}
    model = {"id": "m", "provider": "openai_compatible", "price": {"input": 1, "output": 1}, "slots": ["gpt-4o"]}
    limits = {"tries": 1, "attempts": 1}
    spec = scripted_spec(tmp_path, providers={"openai_compatible": options}, models=[model], limits=limits)
    flags = ("--allow", "key=MY_KEY@127.0.0.1:9")
    ended = orchestrate(tmp_path / "home", "run", str(spec), *flags, environ={"MY_KEY": "x"})
    assert ended.err.count("! MY_KEY has fewer than 8 characters") == 1
    assert "[warning" not in ended.err

"""A canary key, raw or encoded, is found nowhere but in the header it travels in."""

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from attrs import evolve

from tests.cli.command import Ended, orchestrate, rows
from tests.plugins.providers.vendor_server import Asked, VendorServer, Wrong
from tests.plugins.providers.vendors import CANARY, VENDORS, built
from tests.servers.local import Fault

FORMS: Final = tuple(
    dict.fromkeys(
        (
            CANARY,
            json.dumps(CANARY)[1:-1],
            base64.b64encode(CANARY.encode()).decode().rstrip("="),
            base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("="),
            base64.b64encode(f":{CANARY}".encode()).decode()[2:29],  # what of it depends on the key alone
            CANARY.encode().hex(),
            CANARY.encode().hex().upper(),
            quote(CANARY, safe=""),
            quote_plus(CANARY),
        )
    )
)
"""The key as it is, and as a careless program might have written it."""

ECHO: Final = " ".join(FORMS)

MODULE: Final = """
import os, pathlib

def seen():
    places = [os.fsencode(f"{name}={value}") for name, value in os.environ.items()]
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            places += path.read_bytes().split(bytes(1))
        except OSError:
            pass
    return places
"""
"""What a model wrote: it looks at its own environment, and at that of every process it can see."""

TESTS: Final = f"""
from hashlib import sha256
from only import seen

FORMS = {[sha256(form.encode()).hexdigest() for form in FORMS]!r}

def test_nothing_of_the_key_is_in_any_environment():
    places = seen()
    assert any(place.startswith(b"PATH=") for place in places)
    words = [word for place in places for word in place.partition(b"=")[2].split() + [place.partition(b"=")[2]]]
    assert not {{sha256(word).hexdigest() for word in words}} & set(FORMS)
"""
"""The plan's tests of it: they know the key only by its digests."""


def echoing(asked: Asked, answer: Fault) -> Fault:
    """Every answer repeats the key: in its text, and in headers that are kept."""
    body = json.loads(answer.content)
    said = body["choices"][0]["message"]["content"]
    if "data model" in str(asked.request) and "```python" in said:
        said = f"```python\n{MODULE}\nECHO = {ECHO!r}\n```"
    elif '"score"' in said:
        said = json.dumps({"score": 0.95, "reasons": f"It is fine, {ECHO}"})
    else:
        said = f"{said}\n{ECHO}"
    body["choices"][0]["message"]["content"] = said
    return evolve(answer, body=body, billed=True, headers={**answer.headers, "x-request-id": f"req {CANARY}"})


def refusing() -> Wrong:
    """The first answer to each prompt is an error that repeats the key: in its body, its page, its place to go."""
    errors = iter(
        [
            Fault(500, {"error": {"message": f"Authorization: Bearer {ECHO}", "code": "x"}}),
            Fault(307, b"", {"location": f"http://127.0.0.1:9/?key={quote(CANARY)}&raw={CANARY}"}),
            Fault(200, f'{{"choices": [{{"message": {{"content": "{ECHO}'),
            Fault(502, f"<html>{ECHO}</html>", {"content-type": "text/html"}),
            Fault(raw=f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
        ]
    )
    seen: set[str] = set()

    def wrong(asked: Asked, answer: Fault) -> Fault:
        prompt = repr(asked.request["messages"])
        is_new = prompt not in seen
        seen.add(prompt)
        return (next(errors, None) if is_new else None) or echoing(asked, answer)

    return wrong


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and every text that the log keeps compressed."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    for database in folder.rglob("events.db"):
        with closing(sqlite3.connect(database)) as log:
            for digest, data in log.execute("SELECT digest, data FROM blobs"):
                yield f"blob {digest}", zlib.decompress(data)


def check(ended: Ended, folder: Path) -> None:
    """No form of the key is in what was printed or written."""
    for form in FORMS:
        assert form not in ended.out, form
        assert form not in ended.err, form
        for name, content in everything(folder):
            assert form.encode() not in content, (form, name)


def spec_in(folder: Path, provider: str, **options: Any) -> Path:
    """A spec of one task whose output is run by the plan's tests."""
    plan = {
        "id": "only",
        "type": "code_generation",
        "prompt": "Write the module that holds the data model.",
        "tests": TESTS,
        "hard_validators": ["python_syntax", "pytest"],
    }
    fields = {
        "project": "Build a small library",
        "criteria": "its tests pass",
        "providers": {provider: options},
        "tasks": [plan],
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(fields))
    return path


@pytest.mark.parametrize("shown", ["--verbose", pytest.param("--json", marks=pytest.mark.heavy)])
def test_a_key_that_a_vendor_repeats_everywhere_is_kept_nowhere(tmp_path: Path, shown: str) -> None:
    """Answers, reasons, request ids, errors, redirects, broken bodies: log, files, screen and child processes."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text(f"KIMI_API_KEY={CANARY}\n")
    with VendorServer("kimi", {model.id: model for model in built("kimi").models()}, refusing()) as server:
        spec = spec_in(tmp_path, "kimi", stream=False)
        content = json.loads(spec.read_text())
        content["tasks"].append({"id": "note", "type": "summarization", "prompt": "Sum up the data model."})
        spec.write_text(json.dumps(content))  # enough prompts for every error
        arguments = ("run", str(spec), "-o", "out", shown)
        ended = orchestrate(home, *arguments, environ={"KIMI_BASE_URL": server.base_url})
    (home / ".env").unlink()

    assert ended.code == 0, ended.err
    assert server.requests > 4 + 4
    assert {each.headers[VENDORS["kimi"].header] for each in server.ledger} == {f"Bearer {CANARY}"}
    assert rows(home, "SELECT DISTINCT verdict FROM checks WHERE validator = 'pytest'") == [("passed",)]
    check(ended, tmp_path)


LEAKY: Final = """
import base64
from orchestrator.spi import Body, ModelInfo, Price, ProviderConfig, Usd, hookimpl

class Leaky:
    simulated = False

    def __init__(self, key):
        self.key = key
        self.retired = {}

    def models(self):
        price = Price(Usd.parse("1"), Usd.parse("2"))
        return [ModelInfo("leaky-1", "leaky", "leaky", price=price, max_output=8192, context=100000)]

    def encode(self, request):
        return Body(b"x", request)

    async def call(self, body, ctx):
        try:
            raise KeyError({"Authorization": self.key})
        except KeyError as error:
            encoded = base64.b64encode(self.key.encode()).decode()
            raise RuntimeError(f"no answer with {self.key} or {encoded}") from error

@hookimpl
def orchestrator_provider(config: ProviderConfig):
    key = config.secret("LEAKY_API_KEY")
    return None if key is None else Leaky(key)
"""
"""A third-party provider that puts the key into what it raises."""


def test_a_plugin_that_raises_with_the_key_in_its_words_shows_nothing_of_it(tmp_path: Path) -> None:
    """The error is recorded without the key, and no traceback shows it."""
    site = tmp_path / "site" / "leaky-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text("[orchestrator.providers]\nleaky = leaky\n")
    (site.parent / "leaky.py").write_text(LEAKY)
    home = tmp_path / "home"
    environ = {"LEAKY_API_KEY": CANARY, "PYTHONPATH": str(site.parent)}
    limits = {"tries": 1, "attempts": 1}
    spec = spec_in(tmp_path, "leaky")
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "limits": limits}))
    ended = orchestrate(home, "run", str(spec), "--verbose", environ=environ)

    assert ended.code == 3, ended.err
    assert "Traceback" not in ended.err
    errors = [text for name, text in everything(home) if name.startswith("blob") and b"RuntimeError" in text]
    assert errors
    check(ended, tmp_path)
    shown = orchestrate(home, "log", "show", rows(home, "SELECT run_id FROM runs")[0][0], environ=environ)
    check(shown, tmp_path)

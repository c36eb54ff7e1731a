"""`webhook` and `notify`: every event reaches the receiver at least once, signed; a person hears of the end."""

import hashlib
import hmac
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spi import ExporterConfig, Metrics, RunEvent, SpecError
from orchestrator_exporters.notify import NotifyError, NotifyExporter
from orchestrator_exporters.webhook import SIGNATURE, TIMESTAMP, Cursor, CursorFolder, DeliveryError, WebhookExporter
from tests.cli.command import orchestrate, rows, start, wait_until

MODEL = {"id": "m-1", "vendor": "v", "price": {"input": 1, "output": 1}, "context": 64000, "max_output": 4000}
SECRET = "correct-horse-battery-staple"


class Receiver:
    """Takes what is posted to it, and answers ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the sender was killed while it sent
                    return
                receiver.requests.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is inherited
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.host}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, run: str) -> list[tuple[int, str]]:
        """Version and type of what was taken of a run, in the order of its coming."""
        bodies = [json.loads(body) for _, body in self.requests]
        return [(each["version"], each["type"]) for body in bodies if body["run"] == run for each in body["events"]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def spec(folder: Path, url: str, delay_ms: int = 0, **options: Any) -> Path:
    """The quickstart with a webhook."""
    script = json.dumps({
        "models": [MODEL],
        "delay_ms": delay_ms,
        "answers": [
            {"role": "generator", "text": "A sentence."},
            {"role": "critic", "text": '{"defects": []}'},
            {"role": "evaluator", "text": '{"reasons": "It does.", "score": 9}'},
        ],
    })  # fmt: skip
    (folder / "answers.json").write_text(script)
    tasks = [{"id": f"t{number}", "type": "summarization", "prompt": f"Say {number}."} for number in range(3)]
    document = {
        "project": "p",
        "criteria": "c",
        "providers": {"scripted": {"answers": "answers.json"}},
        "tasks": tasks,
        "exporters": {"webhook": {"url": url, **options}},
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(document))
    return path


def logged(home: Path, run: str) -> list[tuple[int, str]]:
    """Version and type of every event of a run."""
    return [tuple(row) for row in rows(home, "select version, type from events where stream = ? order by version", run)]


def test_every_event_comes_signed_and_in_order(tmp_path: Path, receiver: Receiver) -> None:
    """What the receiver got is the log, each body with the HMAC of its time and bytes."""
    path = spec(tmp_path, receiver.url, secret_env="HOOK_SECRET")
    words = ("run", str(path), "--project-id", "r", "--allow", f"key=HOOK_SECRET@{receiver.host}")
    ended = orchestrate(tmp_path / "home", *words, environ={"HOOK_SECRET": SECRET})
    assert ended.code == 0, ended.err
    assert receiver.events("r") == logged(tmp_path / "home", "r")
    for headers, body in receiver.requests:
        signed = headers[TIMESTAMP].encode() + b"." + body
        assert headers[SIGNATURE] == f"sha256={hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"
        assert SECRET.encode() not in body


def test_a_secret_of_a_spec_needs_its_user(tmp_path: Path, receiver: Receiver) -> None:
    """Neither a variable nor an address beyond this machine is taken from a spec alone."""
    path = spec(tmp_path, receiver.url, secret_env="AWS_SECRET_ACCESS_KEY")
    refused = orchestrate(tmp_path / "home", "run", str(path), environ={"AWS_SECRET_ACCESS_KEY": SECRET})
    assert refused.code == 2
    assert f"--allow key=AWS_SECRET_ACCESS_KEY@{receiver.host}" in refused.err
    far = orchestrate(tmp_path / "home", "run", str(spec(tmp_path, "https://hooks.example.org/x")))
    assert far.code == 2
    assert "hooks.example.org" in far.err
    assert receiver.requests == []


def test_only_the_wanted_events_are_sent(tmp_path: Path, receiver: Receiver) -> None:
    """By name, with a star for any ending; an end of the run that is not wanted is an end all the same."""
    path = spec(tmp_path, receiver.url, events=["task.*"])
    assert orchestrate(tmp_path / "home", "run", str(path), "--project-id", "r").code == 0
    wanted = [each for each in logged(tmp_path / "home", "r") if each[1].startswith("task.")]
    assert receiver.events("r") == wanted
    assert orchestrate(tmp_path / "home", "run", str(path), "--project-id", "s").code == 0
    assert receiver.events("r") == wanted


@pytest.mark.parametrize("broken", ["refused", "503"])
def test_a_receiver_that_is_away_gets_all_of_it_later(tmp_path: Path, receiver: Receiver, broken: str) -> None:
    """The run is as good as without it, one line says so, and the next run brings what is missing."""
    home = tmp_path / "home"
    if broken == "503":
        receiver.status = 503
        first = spec(tmp_path, receiver.url)
        ended = orchestrate(home, "run", str(first), "--project-id", "r")
        assert "answered 503" in ended.err
    else:
        away = Receiver()
        away.server.shutdown()
        away.server.server_close()
        ended = orchestrate(home, "run", str(spec(tmp_path, away.url)), "--project-id", "r")
        assert "cannot be reached" in ended.err
        assert ended.code == 0
        return
    assert ended.code == 0
    receiver.status = 200
    receiver.requests.clear()
    assert orchestrate(home, "run", str(spec(tmp_path, receiver.url)), "--project-id", "s").code == 0
    assert receiver.events("s") == logged(home, "s")
    assert receiver.events("r") == logged(home, "r")


def test_a_killed_run_that_goes_on_loses_none(tmp_path: Path, receiver: Receiver) -> None:
    """Each event of the log came at least once, and none that is not in it."""
    home = tmp_path / "home"
    path = spec(tmp_path, receiver.url, delay_ms=150)
    process = start(home, "run", str(path), "--project-id", "r")
    wait_until(lambda: len(receiver.events("r")) > 3, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert orchestrate(home, "resume", "r").code == 0
    assert set(receiver.events("r")) == set(logged(home, "r"))


def history(events: list[RunEvent]) -> Any:
    """A log of one run."""
    return lambda run, after: iter([each for each in events if each.version > after])


@given(
    st.lists(st.sampled_from([200, 204, 301, 400, 429, 500]), min_size=1, max_size=8),
    st.integers(0, 350),
    st.booleans(),
)
def test_whatever_the_receiver_answers_none_is_lost(statuses: list[int], count: int, restart: bool) -> None:
    """Exports with restarts in between bring every event, in order, with repetitions only after a failure."""
    import tempfile

    import httpx

    events = [RunEvent("r", version, 0, "task.started", {}) for version in range(1, count + 1)]
    taken: list[int] = []
    answers = iter(statuses)

    def answer(request: httpx.Request) -> httpx.Response:
        status = next(answers, 200)
        if status < 300:
            taken.extend(each["version"] for each in json.loads(request.content)["events"])
        return httpx.Response(status)

    with tempfile.TemporaryDirectory() as name:
        config = ExporterConfig("webhook", history=history(events), folder=Path(name))

        def made() -> WebhookExporter:
            exporter = WebhookExporter(config, "http://127.0.0.1:1/", None, ())
            exporter._client = httpx.Client(transport=httpx.MockTransport(answer))
            return exporter

        exporter = made()
        for _ in range(len(statuses) + 6):
            exporter._not_before = 0.0
            try:
                exporter.export(Metrics(0, run="r"))
            except DeliveryError:
                exporter = made() if restart else exporter
        assert taken == [each.version for each in events]
        assert CursorFolder(next(Path(name).iterdir())).read("r").version == count if count else True


def test_a_cursor_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    """At least once: a damaged file repeats events, and loses none."""
    folder = CursorFolder(tmp_path)
    folder.write(Cursor("r", 7, True))
    assert folder.read("r") == Cursor("r", 7, True)
    for path in tmp_path.iterdir():
        path.write_text("{")
    assert folder.read("r") == Cursor("r")
    assert list(folder.unfinished()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "url is missing"),
        ({"url": "ftp://x"}, "expected an address"),
        ({"url": "http://x", "events": "a"}, "a list"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], problem: str) -> None:
    """Before the run begins."""
    from orchestrator_exporters.webhook import orchestrator_exporter

    with pytest.raises(SpecError, match=problem):
        orchestrator_exporter(ExporterConfig("webhook", options))


def test_a_person_hears_of_the_end_of_a_run(tmp_path: Path, receiver: Receiver) -> None:
    """Through Apprise's own JSON service; the address comes from the environment alone."""
    pytest.importorskip("apprise")
    path = spec(tmp_path, receiver.url)
    document = json.loads(path.read_text())
    document["exporters"] = {"notify": {"addresses_env": "NOTIFY"}}
    path.write_text(json.dumps(document))
    words = ("run", str(path), "--project-id", "r", "--allow", "key=NOTIFY@notify")
    ended = orchestrate(tmp_path / "home", *words, environ={"NOTIFY": f"json://{receiver.host}"})
    assert ended.code == 0, ended.err
    (sent,) = [json.loads(body) for _, body in receiver.requests]
    assert sent["title"] == "orchestrate: r: SUCCESS"
    assert "3 completed" in sent["message"]


def test_a_message_that_is_not_taken_is_a_warning(metrics: Metrics) -> None:
    """It is no end of the run: the exporter raises, which the session reports once."""
    exporter = NotifyExporter(lambda title, body: False, ("run.*",))
    exporter.export(Metrics(0, run="r"))
    exporter.observe(RunEvent("r", 1, 0, "run.finished", {}))
    with pytest.raises(NotifyError):
        exporter.export(metrics)

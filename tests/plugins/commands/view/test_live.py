"""Live: events of a run of another process arrive as they are committed, and a reader that comes back goes on."""

import asyncio
import html
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator import events as e
from orchestrator.engine.answers_from_outside import read_request
from orchestrator.events import CallStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.mailbox_requests import CANCEL
from orchestrator.models import Role
from orchestrator.money import Usd
from tests.cli.command import PATIENCE, clean_environment, finish, orchestrate, scripted_spec, start
from tests.plugins.commands.view.serving import Page, Served, served, wait_for

TASKS = [
    {"id": f"t{number}", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]}
    for number in range(3)
]


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The messages of a stream of server-sent events; ``id`` is what a browser sends when it comes back."""
    found: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            found["id"] = int(value)
        elif name == "data":
            found |= json.loads(value)
        elif not line and "type" in found:
            yield found
            found = {}


def recorded(home: Path, run: str) -> list[tuple[int, int, str]]:
    """(position, version, type) of a run's own events."""
    log = EventLog.open_to_read(home)
    try:
        return [(each.position, each.version, each.type) for each in log.read_own(run)]
    finally:
        log.close()


def brought_by(home: Path, run: str, kind: type[e.Event]) -> list[str]:
    """The field ``by`` of a run's events of a kind."""
    log = EventLog.open_to_read(home)
    try:
        return [getattr(each.event, "by") for each in log.read_own(run, types=(kind,))]  # noqa: B009
    finally:
        log.close()


def of_message(found: dict[str, Any]) -> tuple[int, int, str]:
    """The same of a message."""
    assert found["id"] == found["position"]
    return found["position"], found["version"], found["type"]


def test_the_stream_of_a_run_equals_its_log_over_reconnects(tmp_path: Path) -> None:
    """A slow run in another process, followed from before it began; every seventh event the reader is cut off."""
    spec = scripted_spec(tmp_path / "spec", delay_ms=60, tasks=TASKS)
    with served(tmp_path) as view:
        process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")
        seen: list[tuple[int, int, str]] = []
        while not seen or seen[-1][2] != "run.finished":
            headers = {"Last-Event-ID": str(seen[-1][0])} if seen else {}
            with view.client.stream("GET", "/runs/slow/events?after=0", headers=headers) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                for number, found in enumerate(messages(answer.iter_lines()), 1):
                    seen.append(of_message(found))
                    if number == 7 or seen[-1][2] == "run.finished":
                        break
        assert finish(process).code == 0
        assert seen == recorded(tmp_path, "slow")


def test_a_running_page_changes_and_ends(tmp_path: Path) -> None:
    """While another process works the page says what is waited for; afterwards it has the result."""
    spec = scripted_spec(tmp_path / "spec", delay_ms=400, tasks=TASKS)
    with served(tmp_path) as view:
        process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")

        def calling() -> Page | None:
            page = Page(view.get("/runs/slow").text)
            return page if "generate for t" in page.text else None

        busy = wait_for(calling, "a call of the run")
        assert "running" in busy.text
        assert (busy.of("body")[0]["data-live"] or "").startswith("/runs/slow/events?after=")
        assert "running" in view.page("/").text
        assert finish(process).code == 0
        ended = view.page("/runs/slow")
        assert "Waits for" not in ended.text
        assert "x = 1" in ended.words or "x = 2" in ended.words


def test_a_dead_process_is_seen(tmp_path: Path) -> None:
    """After kill -9 the page says that no process works on it."""
    spec = scripted_spec(tmp_path / "spec", delay_ms=2000, tasks=TASKS)
    with served(tmp_path) as view:
        process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")
        wait_for(lambda: "Waits for" in view.get("/runs/slow").text, "the run's page")
        process.kill()
        process.communicate()
        assert "no process works on it" in view.page("/runs/slow").text
        assert "interrupted" in view.page("/").text


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[Served]:
    """An empty data folder with actions."""
    with served(tmp_path, allow_actions=True) as view:
        yield view


def said(answer: httpx.Response) -> str:
    """What the page after an action says of it."""
    assert answer.status_code == 200, answer.text[-500:]
    found = re.search(r'<div class="(?:done|alarm)" role="status">(.*?)</div>', answer.text, re.DOTALL)
    assert found is not None
    return " ".join(Page(found[1]).text.split())


def test_a_spec_is_checked_started_and_the_log_says_by_what(acting: Served, tmp_path: Path) -> None:
    """The form shows what the spec wants; the run is the command's, and its session was opened by view."""
    spec = scripted_spec(tmp_path / "spec")
    checked = acting.post("/start/check", spec=str(spec))
    assert "What it wants beside calling models" in checked.text
    assert "Nothing." in checked.text
    started = acting.post("/start", spec=str(spec), project_id="mine", budget="0.5")
    assert started.url.path == "/runs/mine"
    assert "orchestrate run" in said(started)
    wait_for(lambda: "Final output" in acting.get("/runs/mine").text, "the end of the run")
    shown = orchestrate(tmp_path, "runs", "show", "mine", "--json").json
    assert (shown["status"], shown["cap_usd"]) == ("SUCCESS", "0.500000000")
    assert brought_by(tmp_path, "mine", e.SessionOpened) == ["view"]


def test_what_a_spec_wants_has_to_be_agreed_to(acting: Served, tmp_path: Path) -> None:
    """Without agreement the run is refused with the command's words; with it the flag is given for the user."""
    spec = scripted_spec(tmp_path / "spec", validators={"sandbox": "none"})
    checked = Page(acting.post("/start/check", spec=str(spec)).text)
    boxes = [each["value"] for each in checked.of("input") if each.get("name") == "allow"]
    assert boxes == ["sandbox=none"]
    refused = acting.post("/start", spec=str(spec), project_id="no")
    assert "exit code 2" in said(refused)
    assert "not agreed to" in said(refused)
    assert str(spec) in [each.get("value") for each in Page(refused.text).of("input")], "the form is there again"
    assert acting.post("/start", spec=str(spec), project_id="yes", allow="sandbox=none").url.path == "/runs/yes"


def test_a_bad_spec_is_one_line(acting: Served, tmp_path: Path) -> None:
    """A missing file, a pasted text that is no spec: said on the form, and nothing is started."""
    assert "none.yaml" in acting.post("/start/check", spec=str(tmp_path / "none.yaml")).text
    pasted = acting.post("/start/check", text="project: x\n").text
    assert "line 1: the key" in Page(pasted).words
    assert "criteria" in pasted
    assert "Name a spec file" in acting.post("/start/check", spec=" ", text=" ").text
    assert not (tmp_path / "events.db").exists()


def test_stop_and_resume_with_more_money(acting: Served, tmp_path: Path) -> None:
    """Through the mailbox of another process's run; then on with a higher ceiling."""
    spec = scripted_spec(tmp_path / "spec", delay_ms=700, tasks=TASKS, concurrency=1)
    process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")
    wait_for(lambda: "Waits for" in acting.get("/runs/slow").text, "the run's page")
    assert "slow has stopped" in said(acting.post("/runs/slow/stop"))
    assert finish(process).code == 130
    assert brought_by(tmp_path, "slow", e.RunInterrupted) == ["view"]
    assert "nothing to stop" in said(acting.post("/runs/slow/stop"))
    before = orchestrate(tmp_path, "runs", "show", "slow", "--json").json["cap_usd"]
    resumed = acting.post("/runs/slow/resume", add_budget="2")
    assert "orchestrate resume" in said(resumed)
    wait_for(lambda: "SUCCESS" in orchestrate(tmp_path, "runs", "show", "slow").out, "the end")
    after = orchestrate(tmp_path, "runs", "show", "slow", "--json").json["cap_usd"]
    assert float(after) == float(before) + 2
    bad = acting.post("/runs/slow/resume", add_budget="--help")
    assert "exit code 2" in said(bad)


def test_fork_and_reconcile(acting: Served, tmp_path: Path) -> None:
    """A fork shares the past; a call that a killed process left is settled at what is entered."""
    spec = scripted_spec(tmp_path / "spec", delay_ms=3000, tasks=TASKS[:1])
    process = start(tmp_path, "run", str(spec), "--project-id", "dead", "-q")
    wait_for(lambda: "held" in acting.get("/runs/dead").text and "Waits for" in acting.get("/runs/dead").text, "a call")
    process.kill()
    process.communicate()
    resumed = start(tmp_path, "resume", "dead", "-q")
    wait_for(lambda: "Reconcile" in acting.get("/runs/dead").text, "an unreconciled call")
    acting.post("/runs/dead/stop")
    finish(resumed)
    call = orchestrate(tmp_path, "costs", "reconcile", "dead", "--json").json[0]
    done = acting.post("/runs/dead/reconcile", call=f"v{call['version']}", amount="0.000123")
    assert f"call {call['position']} (v{call['version']}) cost" in said(done)
    assert acting.post("/runs/dead/reconcile", call="v1", amount="x").status_code == 404
    again = acting.post("/runs/dead/reconcile", call="v1", amount="1", back="/money?simulated=1")
    assert (again.url.path, "nothing is unreconciled" in said(again)) == ("/money", True)
    assert acting.post("/runs/dead/reconcile", call="v1", amount="1", back="//evil.example").url.path == "/runs/dead"
    forked = acting.post("/runs/dead/fork", at=f"v{call['version']}", set="budget_usd=3")
    assert "dead-fork: shares dead" in said(forked)
    assert forked.url.path == "/runs/dead-fork", "on with the new run"
    assert {each["run_id"] for each in orchestrate(tmp_path, "runs", "list", "--json").json} == {"dead", "dead-fork"}


def test_the_command_prints_its_address_and_ends_with_ctrl_c(quick: Path) -> None:
    """Through the front door: the address works, one without the token does not, and SIGINT ends it at once."""
    process = start(quick, "view")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            assert "quick" in client.get(address).text
            assert client.get(address.partition("?")[0] + "runs/quick").status_code == 200
        assert httpx.get(address.partition("?")[0], trust_env=False).status_code == 401
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err
    assert (out, "read-only" in err) == ("", True)


def test_a_taken_port_is_one_line(quick: Path) -> None:
    """And the exit code is that of bad usage."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = orchestrate(quick, "view", "--port", str(taken.getsockname()[1]))
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert "--port" in ended.err
    assert clean_environment(quick)["ORCHESTRATE_HOME"] == str(quick)


def test_live_text_is_shown_while_a_model_writes_and_never_recorded(tmp_path: Path) -> None:
    """Of a run of another process, as text, without its keys; gone with the call, the session and the content."""
    from orchestrator.engine.live_text import LiveTextFile, read_live

    spec = scripted_spec(tmp_path / "spec", delay_ms=3000, tasks=TASKS[:1])
    with served(tmp_path) as view:
        process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")
        wait_for(lambda: "generate for t0" in view.get("/runs/slow").text, "a call")
        writer = LiveTextFile(tmp_path, lambda text: text.replace("sk-key", "[key]"), "slow")
        call = CallStarted(1, "t0", Role.GENERATOR, 1, 1, 1, 1, "scripted", "north", 9, 9, Usd(9), 9)
        writer.take(call, "<b>first</b> sk-key \x1b[1m")
        assert [each["text"] for each in view.get("/runs/slow/text").json()] == ["<b>first</b> [key] ␛[1m"]
        assert "<b>first" not in view.get("/runs/slow").text
        assert "<b>first</b> [key]" in view.page("/runs/slow").text
        assert finish(process).code == 0
        assert read_live(tmp_path, "slow") == {}
        assert view.get("/runs/slow/text").json() == []


def test_a_question_is_answered(acting: Served, tmp_path: Path) -> None:
    """An approval point of another process's run: shown in words, answered by a form, and the run goes on."""
    process = start(
        tmp_path, "run", str(scripted_spec(tmp_path / "spec", approve=["plan"])), "--project-id", "asks", "-q"
    )
    wait_for(lambda: 'name="answer"' in acting.get("/runs/asks").text, "the question")
    assert "start the plan of 1 task" in acting.page("/runs/asks").text
    assert "has taken the answer" in said(acting.post("/runs/asks/answer", answer="yes"))
    assert finish(process).code == 0
    assert brought_by(tmp_path, "asks", e.QuestionAnswered) == ["view"]
    shown = acting.page("/runs/asks").words
    answers = shown.partition("Questions and approvals")[2]
    assert answers.index("start the plan of 1 task") < answers.index("yes") < answers.index("another process (view)")


def test_a_command_brings_no_word_of_its_own(tmp_path: Path) -> None:
    """Stopped, answered and edited from a shell the log names no application; nor does it take in a text as a word."""
    spec = scripted_spec(tmp_path / "spec", tasks=TASKS[:1], approve=["plan"], delay_ms=2000)
    process = start(tmp_path, "run", str(spec), "--project-id", "asks", "-q")
    wait_for(lambda: orchestrate(tmp_path, "answer", "asks", "--json").code == 0, "the question")
    plan = tmp_path / "plan.yaml"
    plan.write_text(orchestrate(tmp_path, "plan", "edit", "asks", "--show").out)
    assert orchestrate(tmp_path, "plan", "edit", "asks", "--file", str(plan)).code == 0
    wait_for(lambda: orchestrate(tmp_path, "answer", "asks", "--json").code == 0, "the question again")
    assert orchestrate(tmp_path, "answer", "asks", "yes", environ={"ORCHESTRATE_BY": "A text, no word"}).code == 0
    log = EventLog.open(tmp_path)
    asyncio.run(log.ask("asks", CANCEL, at=1, text="A text of another program."))
    log.close()
    assert finish(process).code == 130
    for kind in (e.PlanEdited, e.QuestionAnswered, e.RunInterrupted):
        assert brought_by(tmp_path, "asks", kind) == [""], kind
    for word, known in (("view", "view"), ("A text.", ""), (7, ""), (None, "")):
        taken = read_request(json.dumps({"question": 3, "accepted": True, "amount": None, "by": word}))
        assert taken is not None
        assert taken[1].by == known


def field(page: Page) -> str:
    """The plan in the form of a page."""
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page.source, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def test_a_plan_is_edited_while_its_approval_is_waited_for(acting: Served, tmp_path: Path) -> None:
    """The form has what ``plan edit --show`` prints; a bad plan comes back with its error, a good one is the run's."""
    spec = scripted_spec(tmp_path / "spec", tasks=TASKS, approve=["plan"])
    process = start(tmp_path, "run", str(spec), "--project-id", "asks", "-q")
    wait_for(lambda: "/runs/asks/plan" in Page(acting.get("/runs/asks").text).links, "the question")
    plan = field(acting.page("/runs/asks/plan"))
    assert plan.strip() == orchestrate(tmp_path, "plan", "edit", "asks", "--show").out.strip()
    bad = Page(acting.post("/runs/asks/plan", plan=plan.replace("id: t2", "id: t1")).text)
    assert any(each.get("role") == "alert" for each in bad.of("div"))
    assert "'t1'" in bad.text
    assert field(bad) == plan.replace("id: t2", "id: t1")
    empty = Page(acting.post("/runs/asks/plan", plan="").text)
    assert any(each.get("role") == "alert" for each in empty.of("div"))
    assert empty.of("textarea")
    prompt = "prompt: |\r\n    Write <x> & y.\r\n\r\n    No more."  # with the ends of lines of a browser's form
    good = plan[: plan.index("- id: t1")].replace("prompt: Write x.", prompt)
    assert prompt in good
    assert "asks has taken the plan; 1 tasks" in said(acting.post("/runs/asks/plan", plan=good))
    wait_for(lambda: "start the plan of 1 task" in acting.get("/runs/asks").text, "the question about the new plan")
    assert "Write <x> & y.\n\nNo more." in field(acting.page("/runs/asks/plan")).replace("\n    ", "\n")
    acting.post("/runs/asks/answer", answer="yes")
    assert finish(process).code == 0
    assert orchestrate(tmp_path, "runs", "show", "asks", "--json").json["tasks"][0]["id"] == "t0"
    assert brought_by(tmp_path, "asks", e.PlanEdited) == ["view"]
    assert "/runs/asks/plan" not in acting.page("/runs/asks").links
    late = acting.page("/runs/asks/plan")
    assert "have begun" in late.text
    assert not late.of("textarea")

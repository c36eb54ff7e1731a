"""What a hostile spec tries: nothing of it happens before its user agrees, at every front door."""

import asyncio
import json
import shlex
import socket
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve

from orchestrator.engine.runs import Engine
from orchestrator.errors import NotAllowedError
from orchestrator.spec import read_spec, spec_from
from orchestrator.trust import Surroundings, wants
from tests.cli.command import Ended, rows, scripted_spec
from tests.cli.in_process import command

SECRET = "wJalrXUtnFEMIK7MDENG"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder below a home folder, with a secret in the environment."""
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    for name, value in (
        ("HOME", str(tmp_path / "home")),
        ("ORCHESTRATE_HOME", str(tmp_path / "data")),
        ("ORCHESTRATE_CONFIG", ""),
        ("XDG_CONFIG_HOME", str(tmp_path / "config")),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ):
        monkeypatch.setenv(name, value)
    return work


@pytest.fixture
def owned() -> Iterator[Path]:
    """A file that a command could make, whoever it runs as."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "owned"


class _Listening(BaseHTTPRequestHandler):
    """Keeps what it hears."""

    heard: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        """Keep it, and refuse."""
        self.heard.append((self.path, str(self.headers)))
        self.send_response(500)
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - as above

    def log_message(self, *arguments: Any) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[int]:
    """A server that keeps what it hears."""
    _Listening.heard = []
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Listening)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found.server_address[1]
    found.shutdown()
    found.server_close()


def touching(target: Path) -> dict[str, Any]:
    """Keys that run a command as the user."""
    return {"validators": {"sandbox": "none"}, "verify_cmd": f"touch {target}"}


def refused(ended: Ended, *flags: str) -> None:
    """The command ended with 2, and named each flag exactly as a shell takes it."""
    assert ended.code == 2, ended
    for flag in flags:
        assert f"--allow {shlex.quote(flag)}" in ended.err


MODELS = [{"id": "m", "provider": "openai_compatible", "price": {"input": 1, "output": 1}, "slots": ["gpt-4o"]}]


# ── the attacks ────────────────────────────────────────────────────────────────────────────────────────────────


def test_code_as_the_user(place: Path, owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that would run without a sandbox does not; once agreed to, it does."""
    spec = scripted_spec(place, **touching(owned))
    ended = command(capsys, "run", str(spec), "-o", "out")
    refused(ended, "sandbox=none", f"command=touch {owned}")
    assert not owned.exists()
    assert not (place / "out").exists()
    flags = ("--allow", "sandbox=none", "--allow", f"command=touch {owned}")
    assert command(capsys, "run", str(spec), "-o", "out", *flags).code == 0
    assert owned.exists()


def test_a_file_of_the_user_through_an_exporter(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No exporter writes outside the working folder, nor into a place that tools run, by itself."""
    rc = place.parent / ".bashrc"
    rc.write_text("alias ls=ls\n")
    for path in ("../.bashrc", str(rc), "~/.bashrc", ".git/hooks/post-commit", ".envrc", "sitecustomize.py"):
        spec = scripted_spec(place, exporters={"prometheus": {"path": path}})
        ended = command(capsys, "run", str(spec))
        assert ended.code == 2, path
        assert "--allow write=" in ended.err
    assert rc.read_text() == "alias ls=ls\n"
    assert not (place / ".envrc").exists()


def test_a_path_through_a_link(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Links are followed before a path is judged, for files that are written, for folders and for what is read."""
    (place / "metrics").symlink_to(place.parent)
    spec = scripted_spec(place, exporters={"json": {"path": "metrics/.profile"}})
    refused(command(capsys, "run", str(spec)), f"write={place.parent}/.profile")
    spec = scripted_spec(place, output_dir="metrics/results")
    refused(command(capsys, "run", str(spec)), f"output={place.parent}/results")
    (place / "answers.json").rename(place.parent / "answers.json")
    (place / "answers.json").symlink_to(place.parent / "answers.json")
    refused(command(capsys, "run", str(spec)), f"read={place.parent}/answers.json")


def test_a_secret_of_the_environment(place: Path, server: int, capsys: pytest.CaptureFixture[str]) -> None:
    """No variable is sent anywhere, not to this machine either, before its user agrees to that variable and host."""
    options = {"base_url": f"http://127.0.0.1:{server}/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"}
    spec = scripted_spec(place, providers={"openai_compatible": options}, models=MODELS)
    granted = f"key=AWS_SECRET_ACCESS_KEY@127.0.0.1:{server}"
    refused(command(capsys, "run", str(spec)), granted)
    assert _Listening.heard == []
    command(capsys, "run", str(spec), "--allow", granted)
    assert any(f"Bearer {SECRET}" in headers for _, headers in _Listening.heard)


def test_a_secret_in_a_header(place: Path, server: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A header that takes a variable is a key by another name, and an instance by another name is its plugin."""
    options = {
        "type": "openai_compatible",
        "base_url": f"http://127.0.0.1:{server}/v1",
        "headers": {"X-Org": "env:AWS_SECRET_ACCESS_KEY", "X-Plain": "plain"},
    }
    spec = scripted_spec(place, providers={"corp": options}, models=[{**MODELS[0], "provider": "corp"}])
    granted = f"key=AWS_SECRET_ACCESS_KEY@127.0.0.1:{server}"
    for words in (("run",), ("plan",), ("models", "list", "-f")):
        refused(command(capsys, *words, str(spec)), granted)
    assert _Listening.heard == []
    command(capsys, "run", str(spec), "--allow", granted)
    assert any(SECRET in headers for _, headers in _Listening.heard)


def test_another_vendors_variable(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A vendor's own variable is its own; any other is asked for, at the vendor's own address too."""
    spec = scripted_spec(place, providers={"openai": {"api_key_env": "AWS_SECRET_ACCESS_KEY"}})
    refused(command(capsys, "run", str(spec)), "key=AWS_SECRET_ACCESS_KEY@api.openai.com")
    spec = scripted_spec(place, providers={"openai": {"api_key_env": "OPENAI_API_KEY"}})
    assert command(capsys, "run", str(spec)).code == 3  # there is no key


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://evil.example/v1", "address=https://evil.example"),
        ("http://evil.example:81/v1", "address=http://evil.example:81"),
        ("http://api.openai.com/v1", "address=http://api.openai.com"),
        ("https://127.0.0.1.evil.example", "address=https://127.0.0.1.evil.example"),
        ("https://localhost.evil.example", "address=https://localhost.evil.example"),
        ("http://2130706433/v1", "address=http://2130706433"),
        ("http://169.254.169.254/latest", "address=http://169.254.169.254"),
        ("http://192.168.1.1/v1", "address=http://192.168.1.1"),
    ],
)
def test_an_address(place: Path, capsys: pytest.CaptureFixture[str], address: str, wanted: str) -> None:
    """Prompts carry data: an address that is neither a vendor's own nor this machine's is asked for without a key."""
    spec = scripted_spec(place, providers={"openai_compatible": {"base_url": address}}, models=MODELS)
    refused(command(capsys, "run", str(spec)), wanted)


def test_addresses_that_are_free(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Vendors' own addresses in all their regions, and this machine's."""
    for name, address in (
        ("openai", "https://api.openai.com/v1"),
        ("openai_compatible", "https://api.deepseek.com/v1"),
        ("kimi", "https://api.moonshot.cn/v1"),
        ("openai_compatible", "http://[::1]:8080/v1"),
        ("openai_compatible", "http://localhost:8080"),
    ):
        spec = scripted_spec(place, providers={name: {"base_url": address}}, models=MODELS)
        ended = command(capsys, "spec", "validate", str(spec), "--json")
        assert ended.json[0]["capabilities"] == [], address


def test_a_port_that_other_machines_reach(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exporter listens on this machine alone unless its user agrees."""
    for host in ("0.0.0.0", "::", socket.gethostname()):
        spec = scripted_spec(place, exporters={"prometheus": {"port": 0, "host": host}})
        refused(command(capsys, "run", str(spec)), f"listen={host}:0")
    spec = scripted_spec(place, exporters={"prometheus": {"port": 0, "host": "127.0.0.1"}})
    assert command(capsys, "run", str(spec)).code == 0


@pytest.mark.parametrize(
    "folder",
    [
        ".github/workflows",
        "~/.config/autostart",
        ".git/hooks",
        ".claude",
        ".husky",
        "x/.vscode",
        ".hidden",
        "../sibling",
    ],
)
def test_an_output_folder_of_a_tool(place: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    """Results go below the working folder, and nowhere that a tool runs what it finds."""
    spec = scripted_spec(place, output_dir=folder)
    ended = command(capsys, "run", str(spec))
    assert ended.code == 2
    assert "--allow output=" in ended.err
    assert not (place / folder).exists()


def test_an_output_folder_among_programs(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in which the shell looks for programs is none for results."""
    monkeypatch.setenv("PATH", f"{place}/tools:/usr/bin:/bin")
    refused(command(capsys, "run", str(scripted_spec(place, output_dir="tools"))), f"output={place}/tools")


def test_reading_outside_the_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers, policies and prompts come from the spec's own folder; a file elsewhere is not even opened."""
    outside = place.parent / "outside.yaml"
    outside.write_text("- secret: line\n")
    for fields in (
        {"policy_files": ["../outside.yaml"]},
        {"prompts": ".."},
        {"providers": {"scripted": {"answers": str(outside)}}},
    ):
        spec = scripted_spec(place, **fields)
        for words in (("run",), ("plan",), ("models", "list", "-f")):
            if words == ("models", "list", "-f") and "policy_files" in fields:
                continue
            ended = command(capsys, *words, str(spec))
            assert ended.code == 2, (words, fields, ended)
            assert "--allow read=" in ended.err
            assert "secret" not in ended.err + ended.out
        ended = command(capsys, "spec", "validate", str(spec))
        assert ended.code == 0
        assert "--allow read=" in ended.out
        assert "secret" not in ended.err + ended.out


def test_an_option_of_another_plugin(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a third-party plugin does with an option is not known; a built-in one refuses what it does not know."""
    fields = {
        "providers": {"strange": {"hook": "https://evil.example"}},
        "exporters": {"strange": {"port": 80, "n": 1}},
    }
    spec = evolve(spec_from("p", "c", **fields), source="spec.yaml")
    assert [each.text for each in wants(spec, Surroundings())] == [
        "option=exporters.strange.n=1",
        "option=exporters.strange.port=80",
        'option=providers.strange.hook="https://evil.example"',
    ]
    misspelt = command(capsys, "run", str(scripted_spec(place, exporters={"json": {"pth": "x"}})))
    assert misspelt.code == 2
    assert "known are path" in misspelt.err


def test_a_budget_above_the_users_ceiling(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a user has set a ceiling, a spec does not go beyond it by itself; the user's own flag does."""
    config = place / "config.toml"
    config.write_text("ceiling_usd = 2.0\n")
    monkeypatch.setenv("ORCHESTRATE_CONFIG", str(config))
    spec = scripted_spec(place, budget_usd=3)
    ended = command(capsys, "run", str(spec), "--project-id", "one")
    assert ended.code == 2
    assert "--allow budget=3" in ended.err
    assert command(capsys, "run", str(spec), "--budget", "2.5").code == 0
    assert command(capsys, "run", str(scripted_spec(place, budget_usd=2))).code == 0


# ── every front door ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_command_that_runs_a_spec(place: Path, owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """run, the bare flags, pool, build and plan --decompose go by one check."""
    spec = scripted_spec(place, **touching(owned))
    other = scripted_spec(place, name="other.json", **touching(owned))
    unplanned = json.loads(spec.read_text())
    del unplanned["tasks"]
    (place / "unplanned.json").write_text(json.dumps(unplanned))
    for words in (
        ("run", str(spec)),
        ("--file", str(spec)),
        ("pool", str(spec), str(other)),
        ("pool", str(spec), "--backend", "greedy", "--backend", "pareto"),
        ("build", "an app", "-o", "app", "--spec", str(spec)),
        ("plan", str(place / "unplanned.json"), "--decompose"),
        ("run", str(spec), "--yes"),
    ):
        ended = command(capsys, *words)
        assert ended.code == 2, (words, ended)
        assert "sandbox=none" in ended.err, words
    assert not owned.exists()


def test_plan_and_validate_list_what_a_spec_wants(place: Path, owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both show all of it and run nothing."""
    spec = scripted_spec(place, **touching(owned))
    planned, checked = command(capsys, "plan", str(spec)), command(capsys, "spec", "validate", str(spec))
    assert planned.code == checked.code == 0
    for text in (planned.err, checked.out):
        assert "--allow sandbox=none" in text
        assert f"run this command as you: touch {owned}" in text
    plain = command(capsys, "spec", "validate", str(spec), "--json").json[0]["capabilities"]
    assert {"kind": "sandbox", "value": "none", "granted_by": None, "denied": False} in plain


def test_resume_and_fork_go_by_the_same_check(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was allowed once is not allowed for ever: a later session needs its user's word again."""
    flags = ("--allow", "sandbox=none")
    answers = [{"role": "generator", "error": "authentication"}]
    spec = scripted_spec(place, answers=answers, project_id="held", validators={"sandbox": "none"})
    assert command(capsys, "run", str(spec), *flags).code == 3
    refused(command(capsys, "resume", "held"), "sandbox=none")
    last = str(rows(place.parent.parent / "data", "SELECT max(position) FROM events")[0][0])
    refused(command(capsys, "fork", "held", "--at", last), "sandbox=none")
    assert command(capsys, "resume", "held", *flags).code == 3
    safe = scripted_spec(place, answers=answers, project_id="safe", name="safe.json")
    assert command(capsys, "run", str(safe)).code == 3
    last = str(rows(place.parent.parent / "data", "SELECT max(position) FROM events")[0][0])
    assert command(capsys, "fork", "safe", "--at", last, "--set", "validators.sandbox=none").code == 0
    refused(command(capsys, "resume", "safe-fork"), "sandbox=none")


def test_python(place: Path, owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spec read from a file is data in Python, too; keywords are the user's own word."""
    spec = scripted_spec(place, **touching(owned))
    workspace = Engine.open(place / "data")
    try:
        with pytest.raises(NotAllowedError) as error:
            asyncio.run(workspace.start(read_spec(spec), output=place / "out"))
        assert error.value.missing == ("sandbox=none", f"command=touch {owned}")
        fields = json.loads(spec.read_text())
        own = spec_from(fields.pop("project"), fields.pop("criteria"), **fields)
        asyncio.run(workspace.start(own, output=place / "out"))
    finally:
        workspace.close()
    assert owned.exists()


def test_flags_are_the_users_own_word(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --set adds needs no second agreement; what the file had keeps needing it."""
    spec = scripted_spec(place)
    assert command(capsys, "run", str(spec), "--set", "validators.sandbox=none").code == 0
    options = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"}
    spec = scripted_spec(place, providers={"openai_compatible": options}, models=MODELS)
    ended = command(capsys, "run", str(spec), "--set", "providers.openai_compatible.base_url=https://own.example")
    refused(ended, "key=AWS_SECRET_ACCESS_KEY@own.example")
    assert "address=" not in ended.err


def test_grants_are_in_the_log_by_value(place: Path, owned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RunStarted has each grant with who agreed; a command and a path stand there by their digest."""
    spec = scripted_spec(place, project_id="told", **touching(owned))
    flags = ("--allow", "sandbox=none", "--allow", f"command=touch {owned}")
    command(capsys, "run", str(spec), *flags)
    (data,) = rows(place.parent.parent / "data", "SELECT data FROM events WHERE type = 'run.started'")[0]
    grants = json.loads(data)["grants"]
    assert {"kind": "sandbox", "value": "none", "by": "flag"} in grants
    assert "touch" not in json.dumps(grants)
    command_grant = next(each for each in grants if each["kind"] == "command")
    workspace = Engine.open(place.parent.parent / "data")
    try:
        assert workspace.texts("told").get(command_grant["value"]) == f"touch {owned}"
    finally:
        workspace.close()


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_policy_file_allows_and_denies(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The user's policy files agree to capabilities, and deny them whatever flag is given."""
    spec = scripted_spec(place, validators={"sandbox": "none"})
    (place / "allow.yaml").write_text("capabilities: {allow: ['sandbox=none']}\n")
    (place / "deny.yaml").write_text("capabilities: {deny: ['sandbox=*']}\n")
    assert command(capsys, "run", str(spec), "--policy", "allow.yaml").code == 0
    ended = command(capsys, "run", str(spec), "--policy", "deny.yaml", "--allow", "sandbox=none")
    assert ended.code == 2
    assert "deny" in ended.err


def test_a_spec_allows_itself_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Policy files that a spec names may deny, and not allow."""
    (place / "allow.yaml").write_text("capabilities: {allow: ['sandbox=none']}\n")
    (place / "deny.yaml").write_text("capabilities: {deny: ['sandbox=none']}\n")
    spec = scripted_spec(place, validators={"sandbox": "none"}, policy_files=["allow.yaml"])
    refused(command(capsys, "run", str(spec)), "sandbox=none")
    spec = scripted_spec(place, validators={"sandbox": "none"}, policy_files=["deny.yaml"])
    assert command(capsys, "run", str(spec), "--allow", "sandbox=none").code == 2


@pytest.mark.parametrize("text", ["sandbox", "sandbox=", "sandboxes=none", "=x", ""])
def test_a_flag_that_is_no_capability(place: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """It is said, in one line."""
    ended = command(capsys, "run", str(scripted_spec(place)), "--allow", text)
    assert ended.code == 2
    assert "KIND=VALUE" in ended.err

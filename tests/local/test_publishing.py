"""The index of published plugins, installing one beside the program, and the grades. No network but this machine's."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.commands.plugin_install import Published, installer_command, read_index, requirement
from orchestrator.errors import UsageError
from orchestrator.plugin_kinds import KINDS
from tests.cli.command import ROOT, orchestrate
from tests.cli.in_process import command
from tests.plugins.conftest import build_wheels

INDEX: dict[str, Any] = {
    "plugins": [
        {
            "distribution": "orchestrator-brief",
            "version": "1.0",
            "summary": "Answers of few words.",
            "plugins": {"validator": ["brief"], "no_such_kind": ["x"]},
        },
        {
            "distribution": "orchestrator-gate",
            "version": "2",
            "summary": None,
            "plugins": {"provider": ["gate", "lab"]},
        },
        {"distribution": "orchestrator-other", "version": "3", "plugins": {"backend": ["lab"]}},
    ]
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index in a file."""
    path = tmp_path / "index.json"
    path.write_text(json.dumps(INDEX))
    return path


class _Served:
    """A folder of bytes by path, over HTTP on this machine."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages = dict(pages)
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = served.pages.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("content-type", "application/vnd.pypi.simple.v1+json")
                self.send_header("content-length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def served() -> Iterator[_Served]:
    """A server without pages."""
    made = _Served({})
    yield made
    made.close()


# ── search ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_search_by_words_and_kind(tmp_path: Path, index: Path) -> None:
    """In names, summaries and kinds; every word has to be there."""
    found = orchestrate(tmp_path, "plugins", "search", "--index", str(index))
    assert [line.split()[0] for line in found.lines[1:]] == [each["distribution"] for each in INDEX["plugins"]]
    one = orchestrate(tmp_path, "plugins", "search", "WORDS", "brief", "--index", str(index), "--json")
    assert [each["distribution"] for each in one.json] == ["orchestrator-brief"]
    assert one.json[0]["plugins"] == {"validator": ["brief"]}
    kind = orchestrate(tmp_path, "plugins", "search", "--kind", "backend", "--index", str(index), "--json")
    assert [each["distribution"] for each in kind.json] == ["orchestrator-other"]
    none = orchestrate(tmp_path, "plugins", "search", "nothing", "--index", str(index))
    assert (none.code, none.out) == (0, "")
    assert "the index lists no such plugin" in none.err


def test_the_index_of_the_release_is_the_default_and_a_variable_names_another(tmp_path: Path, index: Path) -> None:
    """The one in the package is read without any network."""
    assert orchestrate(tmp_path, "plugins", "search", "--json").code == 0
    environ = {"ORCHESTRATE_PLUGIN_INDEX": str(index)}
    assert "orchestrator-gate" in orchestrate(tmp_path, "plugins", "search", environ=environ).out


def test_an_index_over_http(served: _Served) -> None:
    """Read as a file is; what is not there, or none, is one line."""
    served.pages["/index.json"] = json.dumps(INDEX).encode()
    assert len(read_index(f"{served.address}/index.json")) == len(INDEX["plugins"])
    with pytest.raises(UsageError, match="404"):
        read_index(f"{served.address}/gone.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"plugins": 3}', '{"plugins": [{"version": "1"}]}', "[" * 100_000])
def test_what_is_no_index(tmp_path: Path, text: str) -> None:
    """Exit code 2, one line."""
    (tmp_path / "odd.json").write_text(text)
    done = orchestrate(tmp_path, "plugins", "search", "--index", str(tmp_path / "odd.json"))
    assert done.code == 2
    assert "this is no index of plugins" in done.err


# ── building the index ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_script_lists_what_has_entry_points_of_ours(tmp_path: Path, served: _Served) -> None:
    """The newest wheel that was not withdrawn counts; what cannot be read is left out and said."""
    new = orchestrate(tmp_path, "plugins", "new", "validator", "brief_words", "-o", str(tmp_path / "source"))
    assert new.code == 0, new.err
    (wheel,) = build_wheels(tmp_path / "wheels", tmp_path / "source")
    content = wheel.read_bytes()
    good = {"filename": wheel.name, "url": "/files/wheel", "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
    withdrawn = {**good, "filename": wheel.name.replace("0.1.0", "9.0"), "url": "/files/gone", "yanked": True}
    names = ["orchestrator-brief-words", "orchestrator-bad", "orchestrator-empty", "requests"]
    served.pages |= {
        "/simple/": json.dumps({"projects": [{"name": name} for name in names]}).encode(),
        "/simple/orchestrator-brief-words/": json.dumps({"files": [withdrawn, good]}).encode(),
        "/simple/orchestrator-bad/": json.dumps({"files": [{**good, "hashes": {"sha256": "0"}}]}).encode(),
        "/simple/orchestrator-empty/": json.dumps({"files": []}).encode(),
        "/files/wheel": content,
    }
    written = tmp_path / "index.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "plugin_index.py"), "--index", f"{served.address}/simple/", "-o", written],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "orchestrator-bad: left out" in done.stderr
    (found,) = read_index(str(written))
    assert (found.distribution, found.version) == ("orchestrator-brief-words", "0.1.0")
    assert found.plugins == {"validator": ("brief_words",)}


# ── install ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wheel_is_installed_by_pip_and_its_plugin_is_named(tmp_path: Path) -> None:
    """By path, and by the word of an index; without a network."""
    orchestrate(tmp_path, "plugins", "new", "validator", "brief_words", "-o", str(tmp_path / "source"))
    (wheel,) = build_wheels(tmp_path / "wheels", tmp_path / "source")
    site = tmp_path / "site"
    site.mkdir()
    environ = {
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    missing = orchestrate(tmp_path, "plugins", "install", "orchestrator-no-such", environ=environ)
    assert missing.code == 3
    assert "nothing was installed" in missing.err
    listed = {"distribution": "orchestrator-brief-words", "version": "0.1.0", "plugins": {"validator": ["brief_words"]}}
    (tmp_path / "index.json").write_text(json.dumps({"plugins": [listed]}))
    done = orchestrate(
        tmp_path, "plugins", "install", "brief-words", "--index", str(tmp_path / "index.json"), environ=environ
    )
    assert done.code == 0, done.err
    assert done.lines == ["installed the validator brief_words of orchestrator-brief-words 0.1.0"]
    again = orchestrate(tmp_path, "plugins", "info", "brief_words", environ=environ)
    assert "orchestrator-brief-words 0.1.0" in again.out
    by_path = orchestrate(tmp_path, "plugins", "install", str(wheel), "--dry-run", environ=environ)
    assert by_path.out.strip().endswith(f"-m pip install {wheel}")


def _which(*tools: str) -> Any:
    return lambda tool: f"/bin/{tool}" if tool in tools else None


def test_the_installer_is_the_one_that_runs_the_program(tmp_path: Path) -> None:
    """Pipx injects, uv adds to its tool or its environment, pip installs; what is not there is said."""
    plain = tmp_path / "plain"
    pipx, tool, venv = tmp_path / "pipx", tmp_path / "tool", tmp_path / "venv"
    for folder in (plain, pipx, tool, venv):
        folder.mkdir()
    (pipx / "pipx_metadata.json").write_text("{}")
    (tool / "uv-receipt.toml").write_text(
        '[tool]\nrequirements = [{ name = "multi-llm-orchestrator" },'
        ' { name = "orchestrator-old", specifier = ">=1" }]\n'
    )
    (venv / "pyvenv.cfg").write_text("home = /usr\nuv = 0.5.1\n")
    every, python = _which("pip", "uv", "pipx"), str(venv / "bin" / "python")
    program = "multi-llm-orchestrator"
    assert installer_command("x", pipx, every) == ["/bin/pipx", "inject", program, "x"]
    expected = ["/bin/uv", "tool", "install", program, "--with", "orchestrator-old>=1", "--with", "x"]
    assert installer_command("x", tool, every) == expected
    assert installer_command("x", venv, every, True) == ["/bin/uv", "pip", "install", "--python", python, "x"]
    assert installer_command("x", plain, every, True)[1:] == ["-m", "pip", "install", "x"]
    assert installer_command("x", plain, every, False)[:3] == ["/bin/uv", "pip", "install"]
    for folder, has_pip in ((pipx, True), (tool, True), (plain, False)):
        with pytest.raises(UsageError, match="which is not on the path"):
            installer_command("x", folder, _which(), has_pip)


def test_a_fake_installer_is_started_with_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing but the name comes to it, and no shell reads it."""
    fake = tmp_path / "uv"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\n')
    fake.chmod(0o755)
    monkeypatch.setattr(
        "orchestrator.cli.commands.plugin_install.installer_command",
        lambda wanted: [str(fake), "pip", "install", wanted],
    )
    done = command(capfd, "plugins", "install", "orchestrator-x==1.0")
    assert done.code == 0, done.err
    assert (tmp_path / "asked").read_text().splitlines() == ["pip", "install", "orchestrator-x==1.0"]


@pytest.mark.parametrize("name", ["-r", "--index-url=http://x", "a b", "a;b", "$(x)", "", "x @ http://y", "gone.whl"])
def test_what_is_no_name(name: str) -> None:
    """It is refused before any installer sees it."""
    with pytest.raises(UsageError):
        requirement(name, ())


def test_a_word_of_several_distributions_is_not_guessed() -> None:
    """The choices are named; a distribution's own name is always meant as such."""
    index = (
        Published("orchestrator-a", "1", "", {"backend": ["lab"]}),
        Published("lab", "1", "", {"provider": ["lab"]}),
    )
    assert requirement("lab", index) == "lab"
    twice = (*index[:1], Published("orchestrator-b", "1", "", {"provider": ["lab"]}))
    with pytest.raises(UsageError, match="orchestrator-a, orchestrator-b"):
        requirement("lab", twice)
    assert requirement("lab", index[:1]) == "orchestrator-a"
    assert requirement("orchestrator-c[extra]>=1", index) == "orchestrator-c[extra]>=1"


# ── grades ─────────────────────────────────────────────────────────────────────────────────────────────────────────

VALIDATOR = '''"""Answers say hello."""

from orchestrator.spi import Candidate, Finding, TaskType, Validator, ValidatorContext, hookimpl

orchestrator_contract = {GIVEN}


def polite(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Say hello."""
    return Finding.passed() if "hello" in candidate.text else Finding.failed("say hello")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return it."""
    return polite
'''
OF = "TaskType.SUMMARIZATION"
EXAMPLES = f'"passing": [Candidate.of("hello", {OF})], "failing": [Candidate.of("no", {OF})]'


@pytest.mark.parametrize(
    ("text", "grade", "missing"),
    [
        (VALIDATOR.replace("GIVEN", EXAMPLES), "gold", ""),
        (VALIDATOR.replace("{GIVEN}", "{}"), "bronze", "missing for silver: offline tests"),
        (
            VALIDATOR.replace("GIVEN", EXAMPLES).replace('    """Say hello."""\n', ""),
            "bronze",
            "missing for silver: docs: polite has no docstring",
        ),
        (
            VALIDATOR.replace("GIVEN", EXAMPLES).replace("() -> Validator", "()"),
            "bronze",
            "missing for silver: types: orchestrator_validator has no types",
        ),
        (
            VALIDATOR.replace("GIVEN", EXAMPLES.partition(', "failing"')[0]),
            "silver",
            "missing for gold: mutation list: its examples do not notice a validator that passes everything",
        ),
        (
            VALIDATOR.replace("{GIVEN}", "{}").replace('Finding.failed("say hello")', "None"),
            "none",
            "missing for bronze: contract",
        ),
    ],
)
def test_grades_of_a_validator(tmp_path: Path, text: str, grade: str, missing: str) -> None:
    """Each says what is missing for the next."""
    (tmp_path / "polite.py").write_text(text)
    done = orchestrate(tmp_path, "plugins", "check", "polite", "--scale", "--plugin", str(tmp_path / "polite.py"))
    assert f"  grade: {grade}" in done.lines, done.out + done.err
    assert missing in done.out
    assert done.code == (1 if grade == "none" else 0)


def test_the_grade_as_json(tmp_path: Path) -> None:
    """With every criterion."""
    done = orchestrate(tmp_path, "plugins", "check", "mentions", "--scale", "--json")
    (found,) = done.json
    assert found["scale"]["grade"] == "gold"
    names = [each["name"] for each in found["scale"]["criteria"]]
    assert names == [
        "contract",
        "types",
        "docs",
        "cancel",
        "offline tests",
        "replay-pure",
        "mutation list",
        "streaming",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_template_has_notes_for_agents(tmp_path: Path, kind: str) -> None:
    """With its own name and rules, and nothing left to fill in."""
    folder = tmp_path / "made"
    assert orchestrate(tmp_path, "plugins", "new", kind, "my_own", "-o", str(folder)).code == 0
    text = (folder / "AGENTS.md").read_text()
    assert "`my_own` in `orchestrator_my_own.py`" in text
    assert "orchestrate plugins check orchestrator-my-own --scale" in text
    assert "__" not in text


@pytest.mark.parametrize("name", ["mentions", "openai", "pytest", "python-syntax", "OpenAI"])
def test_the_name_of_a_plugin_that_is_here_installs_no_stranger(tmp_path: Path, name: str) -> None:
    """A distribution of that name on the package index could be anything; it has to be named on purpose."""
    refused = orchestrate(tmp_path, "plugins", "install", name, "--dry-run")
    assert (refused.code, refused.out) == (2, "")
    assert "is here already" in refused.err
    meant = orchestrate(tmp_path, "plugins", "install", f"{name}>=0", "--dry-run")
    assert meant.code == 0
    assert f"{name}>=0" in meant.out

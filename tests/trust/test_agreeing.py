"""Asking once: what is agreed to at the terminal is remembered by spec and value, and can be revoked."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import LogError
from orchestrator.trust import GrantStore
from tests.cli.command import orchestrate, scripted_spec
from tests.e2e.terminal import Terminal

QUESTION = r"Agree, for this spec from now on\? \[y/N\]: $"


def at_terminal(home: Path, *arguments: str, keys: str | None) -> tuple[int, str]:
    """The exit code and the text of a command at a terminal; ``keys`` None: nothing must be asked."""
    with Terminal(home, *arguments) as terminal:
        if keys is not None:
            terminal.wait_for(QUESTION)
            terminal.type(keys)
        code = terminal.wait()
        assert (keys is None) is ("Agree, for this spec" not in terminal.text)
        return code, terminal.text


def test_asked_once_and_remembered(tmp_path: Path) -> None:
    """An edited prompt asks nothing again, a changed command does, and a revoked grant does."""
    (tmp_path / "home").mkdir()
    wanted: dict[str, Any] = {"validators": {"sandbox": "none"}, "verify_cmd": "true"}
    spec = scripted_spec(tmp_path, **wanted)
    code, text = at_terminal(tmp_path / "home", "run", str(spec), "-o", "no", keys="\n")
    assert code == 2
    assert "run this command as you: true" in text
    code, text = at_terminal(tmp_path / "home", "run", str(spec), "-o", "a", keys="y\n")
    assert code == 0
    scripted_spec(tmp_path, project="Write y.", **wanted)
    assert at_terminal(tmp_path / "home", "run", str(spec), "-o", "b", keys=None)[0] == 0
    assert orchestrate(tmp_path / "home", "run", str(spec), "-o", "c").code == 0
    scripted_spec(tmp_path, **{**wanted, "verify_cmd": "true; true"})
    code, text = at_terminal(tmp_path / "home", "run", str(spec), "-o", "d", keys="n\n")
    assert code == 2
    listed = orchestrate(tmp_path / "home", "trust", "list", "--json").json
    assert listed == [{"spec": str(spec), "capability": each} for each in ("command=true", "sandbox=none")]
    assert orchestrate(tmp_path / "home", "trust", "revoke", str(spec), "sandbox=none").code == 0
    scripted_spec(tmp_path, **wanted)
    ended = orchestrate(tmp_path / "home", "run", str(spec), "-o", "e")
    assert ended.code == 2
    assert "--allow sandbox=none" in ended.err
    assert "--allow command" not in ended.err


def test_a_grant_is_of_one_spec(tmp_path: Path) -> None:
    """Another file that wants the same has to be agreed to by itself, and the same file under a link has not."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, validators={"sandbox": "none"})
    other = scripted_spec(tmp_path, name="other.json", validators={"sandbox": "none"})
    GrantStore(home).remember(str(spec), ["sandbox=none"])
    (tmp_path / "link.json").symlink_to(spec)
    assert orchestrate(home, "run", str(spec)).code == 0
    assert orchestrate(home, "run", str(tmp_path / "link.json")).code == 0
    assert orchestrate(home, "run", str(other)).code == 2


def test_revoking(tmp_path: Path) -> None:
    """What is not there is said; --all forgets everything."""
    home = tmp_path / "home"
    assert orchestrate(home, "trust", "revoke", "spec.yaml").code == 2
    assert orchestrate(home, "trust", "revoke").code == 2
    store = GrantStore(home)
    store.remember("/a", ["read=/x"])
    store.remember("/b", ["read=/x", "read=/y"])
    assert orchestrate(home, "trust", "revoke", "--all").lines == ["3 grants revoked"]
    assert store.read() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"grants": 1}', b'{"grants": {"a": "x"}}', b'{"grants": {"a": [1]}}', b"\xff", b"[" * 9999],
)
def test_a_file_of_grants_that_is_none(tmp_path: Path, content: bytes) -> None:
    """It grants nothing, and is not replaced: it is said with what to do."""
    (tmp_path / "trust.json").write_bytes(content)
    with pytest.raises(LogError, match="remove it"):
        GrantStore(tmp_path).read()
    with pytest.raises(LogError):
        GrantStore(tmp_path).remember("/a", ["read=/x"])
    assert (tmp_path / "trust.json").read_bytes() == content


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    """The file says what its user has; others do not read it."""
    GrantStore(tmp_path).remember("/a", ["read=/x"])
    assert (tmp_path / "trust.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "trust.json").read_text()) == {"grants": {"/a": ["read=/x"]}}


# ── the user's configuration ───────────────────────────────────────────────────────────────────────────────────


def configured(folder: Path, text: str) -> dict[str, str]:
    """The environment of a configuration."""
    (folder / "config.toml").write_text(text)
    return {"ORCHESTRATE_CONFIG": str(folder / "config.toml")}


def test_a_configuration_agrees(tmp_path: Path) -> None:
    """Hosts and variables that a user allows for every spec need no flag; what it denies no flag gives."""
    options = {"base_url": "https://gw.corp.example/v1", "api_key_env": "CORP_KEY", "stream": True}
    model = {"id": "m", "provider": "openai_compatible", "price": {"input": 1, "output": 1}}
    spec = scripted_spec(tmp_path, providers={"openai_compatible": options}, models=[model])
    environ = configured(tmp_path, 'allow_hosts = ["*.corp.example"]\nallow_variables = ["CORP_KEY"]\n')
    checked = orchestrate(tmp_path / "home", "spec", "validate", str(spec), "--json", environ=environ)
    assert {each["granted_by"] for each in checked.json[0]["capabilities"]} == {"configuration"}
    environ = configured(tmp_path, 'deny = ["key=*"]\n')
    flags = ("--allow", "key=*@*", "--allow", "address=*")
    ended = orchestrate(tmp_path / "home", "run", str(spec), *flags, environ=environ)
    assert ended.code == 2
    assert "deny" in ended.err


def test_models_and_data_folder_of_a_configuration(tmp_path: Path) -> None:
    """Paths are from its own folder; flags and variables win."""
    (tmp_path / "more.yaml").write_text("models: [{id: north, provider: scripted, price: {input: 9, output: 9}}]\n")
    environ = configured(tmp_path, 'models_files = ["more.yaml"]\ndata_folder = "kept"\n')
    spec = scripted_spec(tmp_path)
    ended = orchestrate(tmp_path / "home", "run", str(spec), environ={**environ, "ORCHESTRATE_HOME": ""})
    assert ended.code == 0, ended.err
    assert (tmp_path / "kept" / "events.db").exists()
    shown = orchestrate(tmp_path / "home", "config", "show", "--json", environ=environ).json
    assert shown["data_folder"] == "kept"
    assert shown["data"] == str(tmp_path / "home")
    listed = orchestrate(tmp_path / "home", "plan", str(spec), "--json", environ=environ)
    assert listed.code == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ceiling = 1", "ceiling_usd"),
        ("ceiling_usd = -1", "ceiling_usd"),
        ('sandbox = "none"', "--allow sandbox=none"),
        ('allow = ["everything"]', "KIND=VALUE"),
        ("allow = [", "config.toml"),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path: Path, text: str, problem: str) -> None:
    """It is said with the file and the key, and nothing runs."""
    ended = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path)), environ=configured(tmp_path, text))
    assert ended.code == 2
    assert problem in ended.err
    assert "config.toml" in ended.err


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    """One that the environment names must be there; the usual one need not."""
    spec = scripted_spec(tmp_path)
    ended = orchestrate(tmp_path / "home", "run", str(spec), environ={"ORCHESTRATE_CONFIG": str(tmp_path / "no.toml")})
    assert ended.code == 2
    assert orchestrate(tmp_path / "home", "config", "show").code == 0

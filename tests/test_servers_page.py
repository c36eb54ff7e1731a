"""docs/servers.md: its worked examples, run against servers on this machine that list and answer as those do."""

import re
from pathlib import Path
from typing import Final

import pytest

from orchestrator.documents import load_yaml
from orchestrator.spec import parse_spec
from tests.cli.command import orchestrate, rows
from tests.pages import examples, page
from tests.servers.gateways import LITELLM, OLLAMA, OPENROUTER, GatewayServer

PAGE: Final = page("servers.md")
KEY: Final = "sk-page-0123456789"
SERVERS: Final = {
    "OpenRouter": (OPENROUTER, "/api", "https://openrouter.ai", "openrouter"),
    "LiteLLM": (LITELLM, "", "http://127.0.0.1:4000", "house"),
    "Ollama": (OLLAMA, "", "http://127.0.0.1:11434", "openai_compatible"),
}


def section(name: str) -> str:
    """The text of a section of the page."""
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def host(address: str) -> str:
    """Where `--allow` says that a key may go."""
    return f"@{address.partition('://')[2]}"


@pytest.mark.parametrize("name", SERVERS)
def test_the_worked_example_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    """The commands in their order, with the section's files; only the address is this machine's."""
    lists, prefix, address, instance = SERVERS[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    with GatewayServer(lists, prefix, key=None if name == "Ollama" else KEY) as server:
        text = section(name)
        for there, here in ((address, server.address), (host(address), host(server.address))):
            text = text.replace(there, here)
        for file, content in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL):
            (folder / file).write_text(content)
        environ = {"OPENROUTER_API_KEY": KEY, "LITELLM_KEY": KEY}
        commands = list(examples(text))
        for command in commands:
            ended = orchestrate(tmp_path / "home", *command.words, cwd=folder, environ=environ)
            assert ended.code == 0, ended.err
            for line in (line for line in command.shown if line != "…"):
                wanted = re.escape(line).replace("…", r"\d+")
                assert re.search(wanted, ended.err + ended.out), f"{line}\n{ended.err}{ended.out}"
        assert commands
        if len(commands) > 1:
            called = rows(tmp_path / "home", "SELECT DISTINCT provider FROM calls")
            assert called == [(instance,)]
            assert server.ledger


def test_the_instance_of_the_page_is_a_spec() -> None:
    """The first block can be read, and so can what the text says of policies and limits."""
    (block,) = re.findall(r"```yaml\n(providers:.*?)```", PAGE, re.DOTALL)[:1]
    value = load_yaml(f"project: p\ncriteria: c\n{block}", "page").value
    limits = {"requests_per_minute": {"lab": 60}}
    policies = [{"name": "a", "blocked_providers": ["lab"], "allowed_providers": ["openai_compatible"]}]
    spec = parse_spec({**value, "limits": limits, "policies": policies}, "page")
    assert spec.providers["lab"]["headers"] == {"X-Org": "env:LAB_ORG", "X-Title": "nightly"}

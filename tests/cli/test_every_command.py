"""Every command, whoever brings it: JSON, an example in its help, an empty folder, an unknown id, a narrow screen."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli.logs.run_ids import RunType
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.root import root
from tests.cli import in_process

WITHOUT_JSON = {
    "runs export": "it writes files",
    "mcp": "its output is the protocol",
    "audit keygen": "it writes a file",
    "spec init": "it writes files",
    "models suggest": "its output is a models file",
    "plugins new": "it writes files",
    "report": "it writes a page",
    "trust revoke": "it changes what is remembered; trust list prints it",
    "eval add": "it writes a case",
    "eval teach": "it changes what is measured",
    "watch": "it follows a run; log tail --follow prints its events",
    "view": "it shows pages; its streams of events are JSON",
}
"""Commands without ``--json``, and why."""

ON_NOTHING = {
    "runs list": 0,
    "costs show": 0,
    "metrics": 0,
    "budget show": 0,
    "limits show": 0,
    "cache stats": 0,
    "cache clear": 0,
    "log tail": 0,
    "log stats": 0,
    "log gc": 0,
    "audit verify": 2,
    "workers list": 0,
    "fleet status": 0,
    "models list": 0,
    "plugins list": 0,
    "doctor": 0,
    "spec schema": 0,
}
"""Commands that need no argument, with the exit code in a data folder without a log."""


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        found = found.loaded() if isinstance(found, PartCommand) else found
        yield " ".join((*words, name)), found
        if isinstance(found, click.Group):
            yield from _commands(found, (*words, name))


COMMANDS = dict(_commands(root))
LEAVES = {words: found for words, found in COMMANDS.items() if not isinstance(found, click.Group)}
TAKING_RUNS = [
    words
    for words, found in LEAVES.items()
    if any(each.metavar == "RUN" and isinstance(each, click.Argument) for each in found.params)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_its_help_has_an_example_that_can_be_parsed(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The example is a command line of this command, which takes it as it stands; nothing is wider than 80 columns."""
    shown = in_process.command(capsys, *words.split(), "--help")
    assert shown.code == 0
    example = re.search(rf"Example:\n +orchestrate ({words.split()[0]}\b.*)$", shown.out, re.MULTILINE)
    assert example is not None, shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    given = shlex.split(example[1].partition(" > ")[0])
    one, two, shows = given[0], " ".join(given[:2]), f"{given[0]} show"
    leaf, begin = (LEAVES[two], 2) if two in LEAVES else (LEAVES[one if one in LEAVES else shows], 1)
    with click.Context(leaf) as context:
        values, left, _ = leaf.make_parser(context).parse_args(given[begin:])
    missing = [each.name for each in leaf.params if each.required and values.get(each.name or "") in (None, ())]
    assert (missing, left) == ([], [])


@pytest.mark.parametrize("words", LEAVES)
def test_it_prints_json_or_has_a_reason_not_to(words: str) -> None:
    """What prints data takes ``--json``."""
    has = any("--json" in parameter.opts for parameter in LEAVES[words].params)
    assert has != (words in WITHOUT_JSON)


@pytest.mark.parametrize(("words", "code"), ON_NOTHING.items())
def test_it_works_in_an_empty_folder(
    words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made, nothing fails, and with ``--json`` stdout is JSON."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    plain = in_process.command(capsys, *words.split())
    assert plain.code == code, plain.err
    assert plain.out or plain.err
    if words not in WITHOUT_JSON:
        shown = in_process.command(capsys, *words.split(), "--json")
        assert shown.code == code
        json.loads(shown.out or "[]")
    assert not (tmp_path / "home" / "events.db").exists()


@pytest.mark.parametrize("words", TAKING_RUNS)
def test_an_unknown_run_is_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that names it; with ``--json`` an error object on stdout."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    needed = {"runs export": ["-o", "d"], "audit export": ["-o", "b"], "fork": ["--at", "v1"]}
    needed |= {"log recover": ["--into", "r.db"], "runs diff": ["nope"], "runs delete": ["--yes"]}
    needed |= {"eval add": ["t", "--to", "suite.yaml"], "audit anchor": ["--to", "a.jsonl"]}
    arguments = [*words.split(), "nope", *needed.get(words, [])]
    refused = in_process.command(capsys, *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert "'nope'" in refused.err
    if words not in WITHOUT_JSON:
        error = json.loads(in_process.command(capsys, *arguments, "--json").out)["error"]
        assert error["code"] == 2
        assert "'nope'" in error["messages"][0]


def test_every_run_is_named_in_the_same_way() -> None:
    """Whatever takes a run takes ``last`` and beginnings of ids, and is completed."""
    named = {"RUN", "[RUN]", "A", "B"}
    for words, found in LEAVES.items():
        runs = [each for each in found.params if isinstance(each, click.Argument) and each.metavar in named]
        assert all(isinstance(each.type, RunType) for each in runs), words


UNKNOWN = (
    "run nope.yaml",
    "plan nope.yaml",
    "pool nope.yaml nope.yml",
    "spec validate nope.yaml",
    "policy check nope.yaml",
    "policy explain nope.yaml",
    "models show nope",
    "plugins info nope",
    "plugins check nope",
    "plugins new nope nope",
    "budget raise team/nope 1",
    "trust revoke nope.yaml",
    "eval run nope.yaml",
    "eval grade nope.yaml --again",
    "eval retry nope",
    "eval show nope",
    "eval teach nope",
    "costs show --by nope",
    "metrics --format nope",
    "build x -o made --models nope.yaml",
    "log tail nope",
    "audit verify nope",
    "runs list --status nope",
    "nope",
)
"""Command lines that name what there is not."""


@pytest.mark.parametrize("words", UNKNOWN)
def test_an_unknown_name_is_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a line that names it, no traceback; with ``--json`` an error document."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    refused = in_process.command(capsys, *words.split())
    assert (refused.code, refused.out) == (2, ""), refused
    assert "nope" in refused.err
    assert "Traceback" not in refused.err
    document = json.loads(in_process.command(capsys, *words.split(), "--json").out)
    if document.get("format") != "orchestrate-error":  # validate and check answer about each file
        assert words.split()[1] in ("validate", "check")
        document = {"error": {"code": 2, "messages": [json.dumps(document)]}}
    assert document["error"]["code"] == 2
    assert "nope" in " ".join(document["error"]["messages"]) or "--json" in document["error"]["messages"][0]


@pytest.mark.parametrize(
    "words", [words for words, found in COMMANDS.items() if words not in LEAVES and words not in ("costs", "plan")]
)
def test_a_group_alone_prints_its_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All of its lines, and exit code 2; a misspelt command gets a suggestion."""
    alone = in_process.command(capsys, words)
    assert (alone.code, alone.out) == (2, "")
    assert "\nCommands:\n" in alone.err
    name = next(each for each in LEAVES if each.startswith(words)).split()[1]
    wrong = in_process.command(capsys, words, name[:-1] + name[-1] * 2)
    assert (wrong.code, f"did you mean {name!r}?" in wrong.err) == (2, True)


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the kernel's and of plugins' commands."""
    for word, meant in (("rnus", "runs"), ("explian", "explain"), ("dmeo", "demo")):
        refused = in_process.command(capsys, word)
        assert (refused.code, f"did you mean {meant!r}?" in refused.err) == (2, True)

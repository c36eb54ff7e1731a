"""The examples at the end of each command's help."""

from collections.abc import Mapping
from typing import Final

import click

EXAMPLES: Final[Mapping[str, str]] = {
    "demo": "demo",
    "run": "run spec.yaml -o results",
    "resume": "resume last --add-budget 2",
    "plan": "plan spec.yaml --simulate 1000",
    "runs": "runs list",
    "runs cancel": "runs cancel last",
    "runs delete": "runs delete 3f2a --yes",
    "runs diff": "runs diff last~1 last",
    "runs export": "runs export last -o results",
    "runs list": "runs list --status interrupted --since 7d",
    "runs show": "runs show last",
    "costs": "costs last --by task",
    "costs reconcile": "costs reconcile last v24 --amount 0.0031",
    "costs show": "costs show last --by task",
    "replay": "replay last --verify",
    "log": "log tail",
    "log export": "log export last > run.jsonl",
    "log gc": "log gc",
    "log recover": "log recover last --into recovered.db",
    "log show": "log show last",
    "log stats": "log stats",
    "log tail": "log tail --follow",
    "budget": "budget show",
    "budget raise": "budget raise team/web 50",
    "budget set": "budget set org 500",
    "budget show": "budget show",
    "cache": "cache stats",
    "cache clear": "cache clear",
    "cache stats": "cache stats",
    "policy": "policy check rules.yaml",
    "policy check": "policy check rules.yaml --spec spec.yaml",
    "policy explain": "policy explain rules.yaml --team web",
    "spec": "spec init --demo my.yaml",
    "spec init": "spec init --demo my.yaml",
    "spec schema": "spec schema > spec.schema.json",
    "spec validate": "spec validate spec.yaml",
    "models": "models list",
    "models list": "models list --available",
    "models show": "models show claude-opus",
    "models suggest": "models suggest > models.yaml",
    "plugins": "plugins list",
    "plugins check": "plugins check my-plugin",
    "plugins info": "plugins info pareto",
    "plugins list": "plugins list",
    "plugins new": "plugins new backend my-backend",
    "doctor": "doctor --live",
    "audit": "audit verify",
    "audit export": "audit export last -o run.bundle",
    "audit keygen": "audit keygen audit.key",
    "audit records": "audit records last",
    "audit verify": "audit verify last",
    "build": 'build "A web service that shortens links" -o links',
    "explain": "explain last task_001",
    "fork": "fork last --at v24",
    "metrics": "metrics last",
    "pool": "pool spec.yaml --backend greedy --backend pareto",
    "report": "report last -o report.html",
    "watch": "watch last",
    "whatif": "whatif last --backend pareto",
    "trust": "trust list",
    "trust list": "trust list",
    "trust revoke": "trust revoke spec.yaml",
    "config": "config show",
    "config show": "config show",
    "eval": "eval run suite.yaml",
    "eval add": "eval add last task_001",
    "eval grade": "eval grade suite.yaml",
    "eval retry": "eval retry nightly",
    "eval run": "eval run suite.yaml",
    "eval show": "eval show nightly",
    "eval teach": "eval teach nightly",
}
"""A command line by the words of the command."""


def with_examples(command: click.Command, words: str) -> click.Command:
    """The command, and those below it, with examples in their help, unless they bring an epilog of their own."""
    if not command.epilog and words in EXAMPLES:
        command.epilog = f"\b\nExample:\n  orchestrate {EXAMPLES[words]}"
    for name, below in getattr(command, "commands", {}).items():
        with_examples(below, f"{words} {name}")
    return command

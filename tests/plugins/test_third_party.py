import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import run_python

LISTING = """
import json, sys
from orchestrator.plugins import Catalogue
catalogue = Catalogue.discover()
before = [entry.status for entry in catalogue.entries()]
imported = [name for name in sys.modules if name.startswith("orchestrator_")]
after = {f"{e.distribution}:{e.name}": [e.kind, e.version, e.module, e.status, e.reason] for e in catalogue.probe_all()}
print(json.dumps({"before": before, "imported": imported, "after": after}))
"""

JUDGING = """
import json
from orchestrator.models import TaskType
from orchestrator.plugins import Catalogue
from orchestrator.spi import Candidate, ValidatorContext
catalogue = Catalogue.discover()
judge = catalogue.validator("shout")
texts = ["LOUD", "quiet"]
candidates = [Candidate("t", TaskType.CREATIVE_WRITING, text, text) for text in texts]
print(json.dumps([judge(candidate, ValidatorContext()).verdict for candidate in candidates]))
"""

CALLING = """
import asyncio, json
from orchestrator.models import Role
from orchestrator.plugins import Catalogue
from orchestrator.spi import CallContext, CallRef, Message, ProviderConfig, Request
catalogue = Catalogue.discover()
config = ProviderConfig("echo_upper", {}, (), lambda name: None, lambda name: None)
provider = catalogue.provider("echo_upper", config)
model = provider.models()[0]
request = Request(model, (Message("user", "hello"),), 100, 0.0, CallRef("t", Role.GENERATOR, 1, 1, 1))
reply = asyncio.run(provider.call(provider.encode(request), CallContext(None, 1.0, asyncio.sleep, "k")))
used = catalogue.used("provider", "echo_upper", {"a": 1})
print(json.dumps([reply.text, provider.simulated, used.distribution, used.version, used.parameters]))
"""

FAILING = """
from orchestrator.errors import PluginLoadError
from orchestrator.plugins import Catalogue
catalogue = Catalogue.discover()
for name in ("quitter", "broken"):
    try:
        catalogue.validator(name)
    except PluginLoadError as error:
        print(error.kind, error.name, error.exit_code, type(error.__cause__).__name__, error, sep="|")
print(catalogue.validator("python_syntax") is not None)
"""


def _output(script: str, site: Path, **environ: str) -> str:
    done = run_python("-c", script, environ={"PYTHONPATH": str(site), **environ})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_third_party_plugins_are_listed_and_the_broken_ones_shown_with_their_reason(third_party_site: Path) -> None:
    """Third-party plugins are listed beside built-in ones without being imported; probing shows which are broken."""
    report: dict[str, Any] = json.loads(_output(LISTING, third_party_site))
    assert set(report["before"]) == {"available"}
    assert report["imported"] == []
    after = report["after"]
    assert after["orchestrator-shout:shout"] == ["validator", "1.2.3", "orchestrator_shout.shout", "loaded", ""]
    assert after["orchestrator-shout:echo_upper"][3] == "loaded"
    assert after["orchestrator-broken:broken"][:4] == ["validator", "0.0.1", "orchestrator_broken", "broken"]
    assert "a_missing_module" in after["orchestrator-broken:broken"][4]
    assert after["orchestrator-quitter:quitter"][3] == "broken"
    assert "sys.exit(this machine does not please me)" in after["orchestrator-quitter:quitter"][4]
    assert after["multi-llm-orchestrator:python_syntax"][3] == "loaded"


def test_a_third_party_validator_judges(third_party_site: Path) -> None:
    """A validator of an installed wheel judges outputs."""
    assert json.loads(_output(JUDGING, third_party_site)) == ["passed", "failed"]


def test_a_third_party_provider_answers(third_party_site: Path) -> None:
    """A provider of an installed wheel is built and answers, and a session can say whose it is."""
    answer = json.loads(_output(CALLING, third_party_site))
    assert answer == ["HELLO", True, "orchestrator-shout", "1.2.3", {"a": 1}]


def test_broken_third_party_plugins_harm_nothing(third_party_site: Path) -> None:
    """Asking for a broken plugin is an error that names it; the process goes on and the others work."""
    quitter, broken, other = _output(FAILING, third_party_site).splitlines()
    assert quitter.startswith("validator|quitter|2|SystemExit|the validator 'quitter' of orchestrator-quitter 0.0.1")
    assert broken.startswith("validator|broken|2|ImportError|the validator 'broken' of orchestrator-broken 0.0.1")
    assert "(module orchestrator_broken)" in broken
    assert other == "True"


@pytest.mark.parametrize("variable", ["ORCHESTRATE_DISABLE_PLUGINS", "ORCHESTRATE_NO_AUTOLOAD"])
def test_a_blocked_third_party_plugin_is_not_imported(third_party_site: Path, variable: str) -> None:
    """What the environment switches off is listed as blocked and never imported, not even by a probe."""
    value = {"ORCHESTRATE_DISABLE_PLUGINS": "quitter, broken,shout,orchestrator-shout:echo_upper"}.get(variable, "1")
    after = json.loads(_output(LISTING, third_party_site, **{variable: value}))["after"]
    third_party = {key: entry[3] for key, entry in after.items() if not key.startswith("multi-llm-orchestrator:")}
    assert set(third_party.values()) == {"blocked"}
    assert len(third_party) == 4
    assert after["multi-llm-orchestrator:length"][3] == "loaded"


def test_the_raise_switch_lets_a_plugins_own_error_through(third_party_site: Path) -> None:
    """With ORCHESTRATE_RAISE=1 the author of a plugin sees the original error and its traceback."""
    done = run_python("-c", FAILING, environ={"PYTHONPATH": str(third_party_site), "ORCHESTRATE_RAISE": "1"})
    assert done.returncode == 1
    assert "this machine does not please me" in done.stderr
    assert "PluginLoadError" not in done.stderr

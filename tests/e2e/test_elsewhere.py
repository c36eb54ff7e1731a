"""A vendor's provider at an address that is not the vendor's: it offers what is listed there, or declared."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.command import Ended, orchestrate, rows
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built

TASKS: Final = [{"id": "only", "type": "code_generation", "prompt": "Write x."}]


def gateway(vendor: str = "openai") -> VendorServer:
    """A server that speaks the vendor's format and knows all its models; ``hidden`` keeps them off its list."""
    return VendorServer(vendor, {model.id: model for model in built(vendor).models()})


def only(server: VendorServer, *names: str) -> None:
    """Let the server list these names alone."""
    server.hidden.update({model.sent_name for model in built(server.vendor).models()} - set(names))


def command(home: Path, server: VendorServer, *arguments: str, **fields: Any) -> Ended:
    """A command on a spec that has the vendor's provider at the server's address."""
    home.mkdir(parents=True, exist_ok=True)
    spec = home / "spec.json"
    given = {"project": "Write x.", "criteria": "x is there", "tasks": TASKS, "providers": {server.vendor: {}}}
    spec.write_text(json.dumps({**given, **fields}))
    reached = VENDORS[server.vendor]
    filled = [str(spec) if each == "SPEC" else each for each in arguments]
    return orchestrate(home, *filled, environ={reached.key: CANARY, reached.address: server.base_url})


def models_of(ended: Ended) -> dict[str, dict[str, Any]]:
    """What ``models list --json`` says, by id."""
    return {model["id"]: model for model in ended.json}


def test_only_what_the_address_lists_is_offered_and_fills_the_slots(tmp_path: Path) -> None:
    """A model of the vendor's list that the gateway lacks is neither offered nor called; the next fills its slot."""
    home = tmp_path / "home"
    with gateway() as server:
        only(server, "gpt-6-luna", "gpt-6.1-sol")
        listed = models_of(command(home, server, "models", "list", "-f", "SPEC", "--json"))
        ended = command(home, server, "run", "SPEC", "-o", "out")
        assert ended.code == 0, ended.err
    assert {name: model["slots"] for name, model in listed.items()} == {
        "gpt-6.1-sol": ["gpt-4o"],
        "gpt-6-luna": ["gpt-4o-mini"],
    }
    assert {model for (model,) in rows(home, "SELECT DISTINCT model FROM calls")} <= set(listed)
    ((opened,),) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")
    assert {model["id"] for model in json.loads(opened)["models"]} == set(listed)


def test_what_is_declared_is_offered_though_it_is_not_listed(tmp_path: Path) -> None:
    """The user knows the server: a declared model needs no list; its other facts are those of the vendor's list."""
    with gateway() as server:
        only(server, "gpt-6-luna")
        declared = [{"id": "gpt-4o", "provider": "openai"}]
        listed = models_of(
            command(tmp_path / "home", server, "models", "list", "-f", "SPEC", "--json", models=declared)
        )
    assert set(listed) == {"gpt-6-luna", "gpt-4o"}
    assert listed["gpt-4o"]["price_usd"]


@pytest.mark.parametrize("vendor", [name for name in VENDORS if name != "openai"])
def test_every_vendor_s_provider_looks(vendor: str, tmp_path: Path) -> None:
    """One listed name is the only one that is offered."""
    name = built(vendor).models()[0].sent_name
    with gateway(vendor) as server:
        only(server, name)
        listed = models_of(command(tmp_path / "home", server, "models", "list", "-f", "SPEC", "--json"))
    assert [model["sent_name"] for model in listed.values()] == [name]


def test_an_address_without_a_list_offers_what_is_declared_alone(tmp_path: Path) -> None:
    """With nothing declared there is nothing to call: one line says why and what to do, and nothing is recorded."""
    home = tmp_path / "home"
    with gateway() as server:
        server.refuse_list(404, {"error": {"message": "no such path"}})
        refused = command(home, server, "run", "SPEC")
        ended = command(home, server, "run", "SPEC", models=[{"id": "gpt-6-luna", "provider": "openai"}])
    assert refused.code == 3
    assert "gave no list of models (HTTP 404" in refused.err
    assert "models: in the spec" in refused.err
    assert "Traceback" not in refused.err
    assert ended.code == 0, ended.err
    assert rows(home, "SELECT DISTINCT model FROM calls") == [("gpt-6-luna",)]


@pytest.mark.parametrize(
    ("address", "elsewhere"),
    [
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", False),
        ("https://api.openai.com.evil.example/v1", True),
        ("https://openrouter.ai/api/v1", True),
        ("http://127.0.0.1:4000", True),
    ],
)
def test_the_vendors_own_hosts_are_its_own(address: str, elsewhere: bool) -> None:
    """A host below the vendor's is the vendor's; one that only begins like it is not."""
    made = built("openai", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": address})
    assert made.is_elsewhere is elsewhere


def test_both_hosts_of_a_vendor_are_its_own() -> None:
    """The host in China is the vendor's, whatever region the spec names."""
    for address in ("https://api.moonshot.cn/v1", "https://api.moonshot.ai/v1"):
        assert not built("kimi", {"KIMI_API_KEY": "k", "KIMI_BASE_URL": address}).is_elsewhere

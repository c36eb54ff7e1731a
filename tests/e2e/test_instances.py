"""Servers of one's own: several instances of one provider plugin in a run, over real sockets."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.command import Ended, orchestrate, rows
from tests.servers.openai_server import OpenAIServer

PRICE: Final = {"input": 0.25, "output": 1.25}
CANARY: Final = "org-canary-5f2a81c9"
TASKS: Final = [
    {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]},
]


def a_model(provider: str, name: str, **facts: Any) -> dict[str, Any]:
    """A model's entry in a spec."""
    return {"id": name, "provider": provider, "price": PRICE, "context": 131072, "max_output": 16384, **facts}


def spec_file(folder: Path, **fields: Any) -> Path:
    """A spec of one task."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.json"
    content = {"project": "Write x.", "criteria": "x is there", "tasks": TASKS, **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def run_two(home: Path, first: OpenAIServer, second: OpenAIServer, **fields: Any) -> Ended:
    """A run with two instances that sell a model of the same id."""
    spec = spec_file(
        home,
        providers={
            "openai_compatible": {"base_url": first.base_url},
            "lab": {
                "type": "openai_compatible",
                "base_url": second.base_url,
                "api_key_env": "LAB_KEY",
                "headers": {"X-Org": "env:LAB_ORG", "X-Title": "a test"},
            },
        },
        models=[a_model("openai_compatible", "m", vendor="one"), a_model("lab", "m", vendor="two")],
        **fields,
    )
    environ = {"LAB_KEY": "sk-lab-0123456789", "LAB_ORG": CANARY}
    given = ("run", str(spec), "--project-id", "r", "-o", str(home / "out"))
    return orchestrate(home, *given, *agreed(second.address, *environ), environ=environ)


def agreed(address: str, *variables: str) -> list[str]:
    """The flags by which a user agrees that a spec sends the values of variables to an address."""
    place = address.partition("://")[2]
    return [word for name in variables for word in ("--allow", f"key={name}@{place}")]


def asked_of(server: OpenAIServer) -> set[str]:
    """The names a server was asked for."""
    return {served.model for served in server.ledger}


def test_two_instances_of_one_plugin_sell_the_same_id(tmp_path: Path) -> None:
    """The second one's model is lab/ID, and each is asked for the name it knows, with its own key and headers."""
    home = tmp_path / "home"
    with OpenAIServer() as first, OpenAIServer() as second:
        ended = run_two(home, first, second, routing={"table": {"code_generation": ["lab/m", "m"]}})
        assert ended.code == 0, ended.err
        calls = rows(home, "SELECT DISTINCT provider, model FROM calls ORDER BY provider")
        assert calls == [("lab", "lab/m"), ("openai_compatible", "m")]
        assert asked_of(first) == asked_of(second) == {"m"}
        headers = [served.headers for served in second.ledger]
        plain = [served.headers for served in first.ledger]

    assert {(each["authorization"], each["x-org"], each["x-title"]) for each in headers} == {
        ("Bearer sk-lab-0123456789", CANARY, "a test")
    }
    assert all("x-org" not in each and "authorization" not in each for each in plain)
    for file in home.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file
    verified = orchestrate(home, "replay", "r", "--verify", "--strict")
    assert verified.code == 0, verified.err


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ({"allowed_providers": ["lab"]}, {"lab/m"}),
        ({"blocked_providers": ["lab"]}, {"m"}),
        ({"allowed_providers": ["openai_compatible"]}, {"m", "lab/m"}),
        ({"allowed_providers": ["two"]}, {"lab/m"}),
        ({"allowed_models": ["lab/m"]}, {"lab/m"}),
        ({"blocked_models": ["m"]}, set()),
    ],
)
def test_policies_match_instance_type_and_vendor(policy: dict[str, Any], asked: set[str], tmp_path: Path) -> None:
    """The name of the instance, of its plugin or of the vendor; a model by its id, or by the name its server knows."""
    home = tmp_path / "home"
    with OpenAIServer() as first, OpenAIServer() as second:
        ended = run_two(home, first, second, policies=[{"name": "rule", **policy}])
        assert ended.code == (0 if asked else 3), ended.err
        assert {model for (model,) in rows(home, "SELECT DISTINCT model FROM calls")} == asked


def test_an_instance_alone_fills_slots_and_is_known_by_its_bare_name(tmp_path: Path) -> None:
    """A routing table may name the model as its server does, where no other model is called so."""
    home = tmp_path / "home"
    with OpenAIServer() as server:
        spec = spec_file(
            home,
            providers={"lab": {"type": "openai_compatible", "base_url": server.base_url}},
            models=[a_model("lab", "small"), a_model("lab", "large", price={"input": 2, "output": 9})],
            routing={"table": {"code_generation": ["large"]}},
        )
        ended = orchestrate(home, "run", str(spec), "-o", str(home / "out"))
        assert ended.code == 0, ended.err
    drafted = rows(home, "SELECT DISTINCT model FROM calls WHERE role = 'generator'")
    assert drafted == [("lab/large",)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("anthropic", {"type": "openai_compatible"}, "this is the name of a provider plugin"),
        ("a/b", {"type": "openai_compatible"}, "the name of an instance has no /"),
        ("lab", {"type": "openai_compatibel"}, "openai_compatibel"),
        ("lab", {"type": 7}, "providers.lab.type"),
        ("lab", {"headers": {"Authorization": "Bearer sk-1"}}, "a key has no place in a spec"),
        ("lab", {"headers": {"X-Org": "env:LAB ORG"}}, "after env: comes the name"),
        ("lab", {"headers": {"X Org": "a"}}, "this is no header"),
        ("lab", {"headers": {"Host": "a"}}, "the program sets this header itself"),
        ("lab", {"headers": ["X-Org"]}, "give names and values"),
    ],
)
def test_an_instance_that_makes_no_sense_is_refused(
    name: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """One line that names the key, and exit code 2; nothing is recorded."""
    home = tmp_path / "home"
    given = {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", **options}
    spec = spec_file(home, providers={name: given}, models=[a_model(name, "m")])
    ended = orchestrate(home, "run", str(spec), *agreed("http://127.0.0.1:9", "LAB"))
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert "sk-1" not in ended.err


def test_a_header_without_its_variable_says_which(tmp_path: Path) -> None:
    """A variable that is not set keeps the instance from being used; its name is said."""
    home = tmp_path / "home"
    options = {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "headers": {"X-Org": "env:LAB_ORG"}}
    spec = spec_file(home, providers={"lab": options}, models=[a_model("lab", "m")])
    ended = orchestrate(home, "run", str(spec), *agreed("http://127.0.0.1:9", "LAB_ORG"))
    assert ended.code == 3
    assert "LAB_ORG" in ended.err

"""A name in a spec or a policy is the name of something, or an error that says what it may have meant."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.known_names import KnownNames, unknown_names
from orchestrator.plugins import Catalogue
from orchestrator.spec.value_kinds import NameOf, NameUse
from tests.cli.command import orchestrate, scripted_spec


@cache
def _known() -> KnownNames:
    return KnownNames(Catalogue.discover(), Environment({}, {}, lambda secret: None), None)


def _problems(kind: NameOf, name: str) -> list[str]:
    known = _known()
    return unknown_names([NameUse(kind, name, "f:7: at", 7)], known.catalogue, known.environment)


@st.composite
def _typos(draw: st.DrawFn, name: str) -> str:
    """The name with a letter left out, doubled, exchanged with the next, or replaced."""
    at = draw(st.integers(0, len(name) - 1))
    kinds = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :],
        name[:at] + draw(st.sampled_from("qxz7")) + name[at + 1 :],
    ]
    return draw(st.sampled_from(kinds))


@given(data=st.data(), kind=st.sampled_from(NameOf))
def test_a_typo_of_any_known_name_is_found(data: st.DataObject, kind: NameOf) -> None:
    """It is an error with its place; where the name is not very short, a known name is suggested."""
    names = sorted(_known().all(kind))
    name = data.draw(st.sampled_from(names))
    typo = data.draw(_typos(name))
    assert _problems(kind, name) == []
    if not typo or typo in names or (kind is NameOf.PARTY and typo.lower() in names):
        return
    (problem,) = _problems(kind, typo)
    assert problem.startswith(f"f:7: at: there is no {kind} {typo!r}")
    if len(typo) > 4:
        assert "did you mean" in problem


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"policies": [{"name": "p", "blocked_providers": ["opnai"]}]}, "vendor 'opnai'; did you mean 'openai'"),
        ({"policies": [{"name": "p", "blocked_models": ["nrth"]}]}, "model or slot 'nrth'; did you mean 'north'"),
        ({"policies": [{"name": "p", "allowed_regions": ["euu"]}]}, "region 'euu'; did you mean 'eu'"),
        ({"node_policies": {"onyl": [{"name": "p"}]}}, "the plan has no task 'onyl'; did you mean 'only'"),
        ({"routing": {"backend": "paretto"}}, "backend 'paretto'; did you mean 'pareto'"),
        ({"routing": {"table": {"summarization": ["deepsek-chat"]}}}, "'deepsek-chat'; did you mean 'deepseek-chat'"),
        ({"models": [{"id": "m", "provider": "opena"}]}, "provider 'opena'; did you mean 'openai'"),
        ({"models": [{"id": "m", "provider": "openai", "slots": ["gpt4o"]}]}, "slot 'gpt4o'; did you mean 'gpt-4o'"),
        ({"limits": {"requests_per_minute": {"opnai": 3}}}, "provider 'opnai'; did you mean 'openai'"),
        ({"exporters": {"promethus": {}}}, "exporter 'promethus'; did you mean 'prometheus'"),
        ({"validators": {"settings": {"pytst": {}}}}, "validator 'pytst'; did you mean 'pytest'"),
    ],
    ids=str,
)
def test_a_misspelt_name_is_refused_at_every_door(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    """``spec validate``, ``plan`` and ``run`` say the same line, and nothing is recorded."""
    spec = scripted_spec(tmp_path, **keys)
    for words in (("spec", "validate"), ("plan",), ("run",)):
        refused = orchestrate(tmp_path / "home", *words, str(spec))
        assert refused.code == 2, words
        assert said in refused.err, words
        assert f"{spec}:1: " in refused.err
    assert orchestrate(tmp_path / "home", "runs", "list", "--json").json == []


def test_a_name_that_is_not_installed_here_is_marked(tmp_path: Path) -> None:
    """With ``?`` it is taken as it is, and binds as it would without."""
    policies = [{"name": "p", "blocked_models": ["?south-of-nowhere"], "blocked_providers": ["?mistral"]}]
    assert orchestrate(tmp_path, "spec", "validate", str(scripted_spec(tmp_path, policies=policies))).code == 0
    policies = [{"name": "p", "blocked_models": ["?north"]}]
    spec = scripted_spec(tmp_path, policies=policies, project_id="r")
    assert orchestrate(tmp_path / "home", "run", str(spec)).code == 0
    assert {row["model"] for row in orchestrate(tmp_path / "home", "costs", "r", "--json").json} == {"south"}


def test_a_policy_file_knows_the_models_of_its_spec(tmp_path: Path) -> None:
    """Alone, a model that only a spec declares is unknown; with ``--spec`` it is not."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("global:\n  - {name: p, blocked_models: [north]}\n")
    alone = orchestrate(tmp_path, "policy", "check", str(rules))
    assert alone.code == 2
    assert f"{rules}:2: global[0].blocked_models[0]: there is no model or slot 'north'" in alone.err
    assert orchestrate(tmp_path, "policy", "check", str(rules), "--spec", str(scripted_spec(tmp_path))).code == 0

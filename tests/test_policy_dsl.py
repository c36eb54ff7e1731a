import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from orchestrator.documents import Address
from orchestrator.errors import PluginNotFoundError, SpecError
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy, PolicyHierarchy, RateLimit
from orchestrator.policy_dsl import PolicyFileError, load_policy_file, parse_hierarchy
from orchestrator.spi import Loader
from orchestrator.testing.specs import DATA
from orchestrator_policy_loaders import json as json_loader
from orchestrator_policy_loaders import yaml as yaml_loader

LEVELS = """\
global:
  - name: gdpr
    allow_training_on_output: false
    enforcement_mode: hard
team:
  eng:
    - {name: eu_only, allowed_regions: [eu, global]}
  2024: [{name: year}]
job:
  job_001:
    - name: fast
      max_latency_ms: 5000.0
      max_cost_per_task_usd: 0.50
node:
  parse:
    - {name: slow, rate_limit: {calls_per_minute: 6, cost_usd_per_hour: 0.1, tokens_per_day: 9}, enforcement_mode: soft}
"""


def loader_for(suffix: str) -> Loader:
    """The built-in loaders, without a catalogue."""
    return {
        ".yaml": yaml_loader.orchestrator_policy_loader(),
        ".yml": yaml_loader.orchestrator_policy_loader(),
        ".json": json_loader.orchestrator_policy_loader(),
    }[suffix]


def problems(path: Path, text: str) -> list[str]:
    """What is wrong with a policy file, without its name."""
    path.write_text(text)
    with pytest.raises(PolicyFileError) as caught:
        load_policy_file(path, loader_for)
    return [line.removeprefix(str(path)) for line in caught.value.problems]


def test_the_levels_of_a_file_become_a_hierarchy(tmp_path: Path) -> None:
    """Policies of all, of teams, of jobs and of nodes, every field; who asks gets those that bind it."""
    path = tmp_path / "policies.yml"
    path.write_text(LEVELS)
    hierarchy = load_policy_file(path, loader_for)
    assert hierarchy.org == (Policy("gdpr", allow_training_on_output=False),)
    assert hierarchy.team["eng"] == (Policy("eu_only", allowed_regions=("eu", "global")),)
    assert set(hierarchy.team) == {"eng", "2024"}
    fast = Policy("fast", max_latency_ms=5000.0, max_cost_per_task_usd=0.5)
    slow = Policy("slow", rate_limit=RateLimit(6, Usd.parse("0.1"), 9), enforcement_mode=EnforcementMode.SOFT)
    assert hierarchy.policies_for(team="eng", job_id="job_001", node="parse").policies == (
        *hierarchy.org,
        *hierarchy.team["eng"],
        fast,
        slow,
    )


def test_what_binds_together_is_iterated() -> None:
    """A set gives its policies from the outermost level inwards, and has as many as were given."""
    hierarchy = PolicyHierarchy(org=[Policy("all")], team={"eng": [Policy("ours")]}, node={"parse": [Policy("one")]})
    assert [policy.name for policy in hierarchy.policies_for(team="eng", node="parse")] == ["all", "ours", "one"]
    assert len(hierarchy.policies_for(team="other")) == 1


@pytest.mark.parametrize("suffix", [".yaml", ".YAML", ".yml", ".json"])
def test_the_suffix_chooses_among_the_installed_loaders(tmp_path: Path, suffix: str) -> None:
    """Without a loader of one's own the plugins are asked."""
    path = tmp_path / f"policies{suffix}"
    path.write_text(json.dumps({"org": [{"name": "a"}], "global": [{"name": "b"}], "team": None}))
    assert load_policy_file(str(path)) == PolicyHierarchy(org=(Policy("b"), Policy("a")))


def test_another_suffix_is_a_value_error(tmp_path: Path) -> None:
    """The message says which files can be read, whichever loader was asked for."""

    def none(suffix: str) -> Loader:
        raise PluginNotFoundError("policy_loader", suffix, "no policy loader reads .toml files")

    path = tmp_path / "policies.toml"
    path.write_text("")
    for find in (none, loader_for, None):
        with pytest.raises(ValueError, match=r"policies\.toml:1: .*\.toml.* \.yaml, \.yml or \.json"):
            load_policy_file(path, find)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- name: a\n", [":1: a policy file is a mapping with the keys global, team, job and node"]),
        ("", [":1: a policy file is a mapping with the keys global, team, job and node"]),
        ("globl: []\n", [":1: globl: unknown key; did you mean 'global'?"]),
        ("team: []\nnode: {a: {}}\n", [
            ":1: team: expected a mapping of names to lists of policies, found a list",
            ":2: node.a: expected a list, found a mapping",
        ]),
        ("org:\n- {name: a, enforcement_mode: mild}\nnode:\n  x:\n  - {name: b, pii_allowed: true}\n", [
            ":2: org[0].enforcement_mode: expected hard, soft or monitor, found the text 'mild'",
            ":5: node.x[0].pii_allowed: not supported yet: nothing would enforce it; take it out",
        ]),
        ("team:\n  a: {name: b}\n", [":2: team.a: expected a list, found a mapping"]),
        ("team:\n  '': []\n", [":2: team.: the text is empty"]),
    ],
)  # fmt: skip
def test_what_cannot_be_enforced_is_said_with_its_line(tmp_path: Path, text: str, found: list[str]) -> None:
    """All problems of a file come out together."""
    assert problems(tmp_path / "p.yaml", text) == found


def _bomb(path: Path) -> None:
    path.write_text("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"b{n}: &a [{'*a,' * 9}]\n" for n in range(9)))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "10 MB": lambda path: path.write_bytes(b"#" * 10_000_000),
    "deeply nested": lambda path: path.write_text("[" * 5000),
    "alias bomb": _bomb,
    "duplicate key": lambda path: path.write_text('{"org": [], "org": []}'),
    "tag": lambda path: path.write_text("org: !!python/name:os.system []\n"),
    "not UTF-8": lambda path: path.write_bytes(b"org: \xff\n"),
    "not a number": lambda path: path.write_text('{"org": [{"name": "a", "max_latency_ms": NaN}]}'),
    "negative": lambda path: path.write_text('{"org": [{"name": "a", "max_latency_ms": -1}]}'),
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_hostile_files_are_refused_with_file_and_line(tmp_path: Path, case: str, suffix: str) -> None:
    """Each kind of bad file gives lines that start with its name and a line."""
    path = tmp_path / f"bad{suffix}"
    HOSTILE[case](path)
    with pytest.raises(PolicyFileError) as caught:
        load_policy_file(path, loader_for)
    for line in caught.value.problems:
        start, number, rest = line.removeprefix(str(path)).split(":", 2)
        assert (start, int(number) >= 1, bool(rest.strip())) == ("", True, True)


def test_a_loader_of_ones_own_needs_no_lines(tmp_path: Path) -> None:
    """Where a loader knows no line, the first stands for it."""

    class Fixed:
        suffixes: tuple[str, ...] = (".ini",)

        def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[Address, int]]:
            return {"org": [{"name": text}, {}]}, {("org",): 7}

    path = tmp_path / "p.ini"
    path.write_text("x")
    with pytest.raises(PolicyFileError) as caught:
        load_policy_file(path, lambda suffix: Fixed())
    assert caught.value.problems == (f"{path}:7: org[1]: the key 'name' is required",)


def test_a_loader_that_breaks_is_a_problem_of_the_file(tmp_path: Path) -> None:
    """What a third-party loader raises or returns never gets further than one line."""

    class Broken:
        suffixes: tuple[str, ...] = (".ini",)

        def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[Address, int]]:
            if text == "raise":
                raise ZeroDivisionError("by\nnothing")
            return None  # type: ignore[return-value]

    path = tmp_path / "p.ini"
    for text, words in (("raise", "ZeroDivisionError: by nothing"), ("", "TypeError")):
        path.write_text(text)
        with pytest.raises(PolicyFileError, match=f"the policy loader Broken failed: {words}"):
            load_policy_file(path, lambda suffix: Broken())


@given(DATA)
def test_any_data_is_a_hierarchy_or_a_spec_error(data: Any) -> None:
    """Whatever a loader returns, nothing but a SpecError comes out."""
    for value in (data, {"org": data}, {"team": data}, {"node": {"a": data}}, {"global": [data]}):
        result: PolicyHierarchy | None = None
        try:
            result = parse_hierarchy(value, "f")
        except SpecError as error:
            problems = error.problems
        assert result is not None or problems

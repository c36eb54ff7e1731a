import json
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import count, orchestrate, rows, scripted_spec

RULES = """\
global:
  - name: gdpr
    allow_training_on_output: false
  - name: both
    allowed_providers: [OpenAI, google]
    blocked_providers: [openai]
team:
  eng:
    - {name: nowhere, allowed_regions: []}
    - {name: only_deepseek, allowed_providers: [deepseek]}
"""
SOUND = """\
org:
  - {name: open, allowed_models: ["?north", "?south"], max_latency_ms: 5000}
team:
  eng: [{name: not_north, blocked_models: ["?north"]}]
  ops: [{name: not_south, blocked_models: ["?south"]}]
job:
  nightly: [{name: quick, max_latency_ms: 2000}]
"""


def test_contradictions_are_shown_with_their_lines(tmp_path: Path) -> None:
    """Errors exit with 2; a warning names both policies; what nothing restricts is information."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    ended = orchestrate(tmp_path, "policy", "check", str(path))
    assert ended.code == 2
    lines = [line.removeprefix(str(path)) for line in ended.err.splitlines()]
    assert lines[0] == ":4: policy 'both': provider 'openai' is both allowed and blocked [error]"
    assert lines[1].startswith(":9: policy 'nowhere': allowed_regions is empty: it allows no model")
    assert lines[2].startswith(":10: policies 'both' and 'only_deepseek': their allowed_providers have nothing")
    assert lines[2].endswith("[warning]")
    assert lines[3] == "no policy caps the cost of a task (max_cost_per_task_usd) [info]"
    assert lines[4] == "no policy bounds latency (max_latency_ms) [info]"
    report = orchestrate(tmp_path, "policy", "check", str(path), "--json").json
    assert (report["ok"], len(report["errors"]), len(report["warnings"]), len(report["info"])) == (False, 2, 1, 2)


def test_sound_files_are_ok_and_unreadable_ones_are_not(tmp_path: Path) -> None:
    """Several files are checked together; what a file gets wrong is said with its line."""
    sound, other, broken = (tmp_path / name for name in ("sound.yaml", "other.json", "broken.yaml"))
    sound.write_text(SOUND)
    other.write_text(json.dumps({"team": {"eng": [{"name": "third", "allowed_models": ["?west"]}]}}))
    broken.write_text("global:\n  - {name: a, alowed_models: [x]}\n")
    fine = orchestrate(tmp_path, "policy", "check", str(sound))
    assert (fine.code, fine.out) == (0, f"{sound}: ok\n")
    together = orchestrate(tmp_path, "policy", "check", str(sound), str(other))
    assert together.code == 0
    assert "policies 'open' and 'third': their allowed_models have nothing in common" in together.err
    wrong = orchestrate(tmp_path, "policy", "check", str(broken), str(tmp_path / "absent.yaml"))
    assert wrong.code == 2
    assert f"{broken}:2: global[0].alowed_models" in wrong.err
    assert "absent.yaml" in wrong.err


NONE_LEFT: Final = "together leave none of the"


OPENAI: Final = "{name: b, blocked_providers: [OpenAI]}"
ONE: Final = "{name: a, allowed_models: [gpt-4o]}"
CHINA: Final = "{name: b, allowed_regions: [cn]}"


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([f"global: [{{name: a, allowed_providers: [openai]}}, {OPENAI}]"], "'b' blocks every"),
        ([f"global: [{ONE}, {OPENAI}]"], NONE_LEFT),
        ([f"global: [{ONE}]", f"team: {{eng: [{OPENAI}]}}"], NONE_LEFT),
        ([f"team: {{eng: [{ONE}]}}", "job: {j: [{name: b, blocked_models: [gpt-4o]}]}"], "'b' blocks"),
        ([f"team: {{eng: [{ONE}]}}", f"job: {{j: [{CHINA}]}}"], NONE_LEFT),
        ([f"job: {{j: [{ONE}]}}", f"node: {{plan: [{CHINA}]}}"], NONE_LEFT),
        (["global: [{name: a, allowed_regions: [kr]}]"], "policy 'a' leaves none of the"),
        (
            [
                "global:",
                "  - {name: a, allowed_providers: [openai, google]}",
                "  - {name: b, allowed_providers: [google, kimi]}",
                "node: {plan: [{name: c, allowed_providers: [kimi, openai]}]}",
            ],
            "policies 'a', 'b' and 'c' together leave none",
        ),
        ([f"global: [{ONE}, {{name: b, blocked_providers: [google]}}]"], None),
        ([f"global: [{{name: a, allowed_models: ['?own']}}, {OPENAI}]"], None),
        ([f"global: [{ONE}, {{name: b, blocked_providers: [openai], enforcement_mode: soft}}]"], None),
        ([f"team: {{eng: [{ONE}], ops: [{{name: c, allowed_regions: [cn]}}]}}", f"job: {{j: [{OPENAI}]}}"], None),
    ],
)
def test_policies_that_together_leave_no_model_are_a_warning(
    tmp_path: Path, rules: list[str], found: str | None
) -> None:
    """Of whatever levels that bind together; not where an unknown model, a soft policy or another team leaves one."""
    path = tmp_path / "rules.yaml"
    path.write_text("\n".join(rules))
    report = orchestrate(tmp_path, "policy", "check", str(path), "--json").json
    assert (report["ok"], len(report["warnings"])) == (True, found is not None)
    if found is not None:
        assert found in report["warnings"][0]
        assert report["warnings"][0].startswith(f"{path}:{len(rules)}: ")


def test_policies_are_applied_to_the_models_of_the_spec(tmp_path: Path) -> None:
    """With ``--spec``, and where the spec itself is checked, the models are those that its providers have."""
    rules = "global:\n  - {name: a, allowed_models: [north]}\n  - {name: b, blocked_providers: [n]}\n"
    (tmp_path / "rules.yaml").write_text(rules)
    spec = scripted_spec(tmp_path, policy_files=["rules.yaml"])
    for words in (("policy", "check", "rules.yaml", "--spec", str(spec)), ("spec", "validate", str(spec))):
        shown = orchestrate(tmp_path, *words, cwd=tmp_path)
        assert shown.code == 0
        assert "policies 'a' and 'b' together leave none of the 2 models that are known here [warning]" in shown.err


def test_explain_shows_what_binds_a_run_and_where_it_stands(tmp_path: Path) -> None:
    """The organisation's, then the team's, then the job's, each with its line."""
    path = tmp_path / "rules.yaml"
    path.write_text(SOUND)
    shown = orchestrate(tmp_path, "policy", "explain", str(path), "--team", "eng", "--job", "nightly", "--json")
    assert [(each["level"], each["name"], each["place"]) for each in shown.json] == [
        ("org", "open", f"{path}:2"),
        ("team eng", "not_north", f"{path}:4"),
        ("job nightly", "quick", f"{path}:7"),
    ]
    table = orchestrate(tmp_path, "policy", "explain", str(path), "--team", "ops").lines
    assert table[0].split() == ["policy", "level", "mode", "requires", "defined", "at"]
    assert table[1].split() == ["open", "org", "hard", "allowed_models=north,south", "max_latency_ms=5000", f"{path}:2"]
    assert table[2].split() == ["not_south", "team", "ops", "hard", "blocked_models=south", f"{path}:5"]
    assert len(table) == 3


def test_the_policies_of_a_team_bind_its_runs_and_no_others(tmp_path: Path) -> None:
    """Models that the team's policies block are not called; those that other teams' policies block are."""
    (tmp_path / "rules.yaml").write_text(SOUND)
    called = {}
    for team in ("eng", "ops"):
        spec = scripted_spec(
            tmp_path, project_id=team, team=team, job_id="nightly", policy_files=["rules.yaml"], name=f"{team}.json"
        )
        orchestrate(tmp_path / "home", "run", str(spec))
        sql = "SELECT DISTINCT json_extract(data, '$.model') FROM events WHERE stream = ? AND type = 'call.started'"
        called[team] = rows(tmp_path / "home", sql, team)
    assert called == {"eng": [("south",)], "ops": [("north",)]}
    assert count(tmp_path / "home", "run.started") == 2


def test_what_is_not_checked_is_said(tmp_path: Path) -> None:
    """Beyond the limit each level is still checked, and one line says that not every combination was."""

    def found(teams: int, jobs: int, tasks: int) -> tuple[int, str]:
        policy = [{"name": "p", "max_latency_ms": 2000, "max_cost_per_task_usd": 1}]
        counts = {"team": teams, "job": jobs, "node": tasks}
        levels = {level: {f"{level}{n}": policy for n in range(count)} for level, count in counts.items() if count}
        levels["node"]["node0"] = [{"name": "nowhere", "allowed_regions": []}]
        path = tmp_path / "rules.json"
        path.write_text(json.dumps(levels))
        ended = orchestrate(tmp_path, "policy", "check", str(path))
        assert "'nowhere'" in ended.err
        return ended.code, ended.err.rpartition("not every one of ")[2]

    for few in ((3, 3, 3), (0, 0, 2_500), (11, 11, 12)):
        assert found(*few)[0] == 2
        assert "is checked" not in found(*few)[1]
    for many in ((12, 12, 12), (50, 0, 50), (0, 50, 50), (60, 60, 1)):
        combinations = (many[0] + 1) * (many[1] + 1) * (many[2] + 1)
        assert found(*many) == (2, f"{combinations:,} combinations of team, job and task is checked [info]\n")

import json
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from orchestrator.decide.strategies import STRATEGIES
from orchestrator.documents import load_yaml
from orchestrator.errors import SpecError
from orchestrator.models import JudgeMethod, ModelInfo, TaskType
from orchestrator.money import Price, Rate, Usd
from orchestrator.policy import Policy
from orchestrator.settings import CrossVendor, Evaluation, OnDisagree, SecondJudge
from orchestrator.spec import (
    SKELETON,
    ReviewSpec,
    Spec,
    TaskSpec,
    parse_policies,
    parse_spec,
    read_models,
    read_spec,
    spec_from,
)
from orchestrator.testing.specs import DATA, spec_documents

FILES = Path(__file__).parent / "files"
SHARED = Path(__file__).parents[3] / "shared" / "specs"


def problems(text: str) -> list[str]:
    """What is wrong with a spec in YAML; an ``f`` stands for its name."""
    document = load_yaml(text, "f")
    with pytest.raises(SpecError) as caught:
        parse_spec(document.value, "f", document.line_of)
    return list(caught.value.problems)


def with_keys(lines: str) -> str:
    """A spec whose third and further lines are these."""
    return f"project: p\ncriteria: c\n{lines}\n"


def test_a_simple_file_has_the_defaults() -> None:
    """Only project and criteria have to be given."""
    spec = read_spec(FILES / "simple.yaml")
    assert spec.budget_usd == Usd.parse("1.5")
    assert spec == Spec(project=spec.project, criteria=spec.criteria, budget_usd=Usd.parse("1.5"))
    assert (spec.time_seconds, spec.concurrency, spec.verbose, spec.project_id) == (5400.0, 3, False, None)
    assert parse_spec({"project": "p", "criteria": "c"}, "f").budget_usd == Usd.parse("8")


def test_a_file_with_every_flat_key_is_read() -> None:
    """Texts keep their lines, comments are no content, and numbers keep their meaning."""
    spec = read_spec(FILES / "flat.yaml")
    assert spec.project.splitlines()[4] == "   - JPEG, PNG"
    assert spec.project.endswith("# this is no comment\n")
    assert spec.project_id == "photo-twins-v1"
    assert spec.output_dir == "./results/photo-twins"
    assert spec.verbose is True
    assert spec.quality_targets[TaskType.EVALUATION] == 0.95
    assert spec.policies == (
        Policy("no_training", allow_training_on_output=False),
        Policy("fast", max_latency_ms=500.0),
    )


def test_every_key_reaches_its_place() -> None:
    """Nothing that a spec can say is lost."""
    spec = read_spec(FILES / "everything.yaml")
    assert spec.folder == str(FILES)
    assert spec.budget_usd == Usd(100_000_000)
    assert spec.project_id is None
    assert spec.output_dir is None
    assert spec.policies[0].allowed_providers == ("OpenAI", "acme")
    assert spec.policies[0].blocked_models == ()
    assert spec.tasks[0] == TaskSpec(
        id="stats",
        type=TaskType.CODE_GEN,
        prompt="Write it.",
        title="The module",
        hard_validators=("python_syntax",),
    )
    assert spec.tasks[1].schema == {"type": "object", "required": ["a"]}
    assert spec.tasks[2].dependencies == ("stats", "facts")
    assert spec.routing.parameters == {"w_cost": 0.5}
    assert spec.providers["other"] == {}
    assert spec.exporters == {"console": {}, "json": {"path": "metrics.json", "every_seconds": 2}}
    assert spec.providers["openai_compatible"]["api_key_env"] == "MY_KEY"
    assert spec.evaluate == Evaluation(
        runs=3,
        max_delta=0.1,
        on_disagree=OnDisagree.MEAN,
        second=SecondJudge.OTHER_MODEL,
        tests_decide=False,
        judge=JudgeMethod.SCORES,
    )
    assert spec.loop[TaskType.CODE_GEN].temperature == 0.5
    assert spec.loop[TaskType.SUMMARIZATION] == STRATEGIES["plain"]
    assert spec.models[0] == ModelInfo(
        id="my-model",
        provider="openai_compatible",
        vendor="Acme",
        price=Price(
            Usd.parse("0.1"),
            Usd.parse("0.4"),
            Usd.parse("0.05"),
            Usd.parse("0.2"),
            Usd.parse("0.41"),
            rates=(
                Rate(Usd.parse("0.05"), Usd.parse("0.2"), hours=(16 * 60 + 30, 30)),
                Rate(Usd(10**9), Usd(2 * 10**9), Usd(5 * 10**8), over=200_000, since=1_798_761_600_000_000),
            ),
        ),
        context=32768,
        max_output=4096,
        hidden_tokens=100,
        thinking_in_limit=False,
        tier="small",
        regions=("eu",),
        trains_on_data=False,
        abilities=("json",),
        slots=("deepseek-chat",),
        wire_name="acme/my-model",
        source="spec",
    )
    assert spec.models[1].vendor == "openai_compatible"
    assert spec.models[1].price is None


def test_json_is_read_like_yaml(tmp_path: Path) -> None:
    """A file ending in .json holds the same spec."""
    value = load_yaml((FILES / "everything.yaml").read_text(), "f").value
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(value))
    assert read_spec(path) == read_spec(FILES / "everything.yaml")


@pytest.mark.parametrize("place", range(9))
def test_the_files_of_the_specification_are_readable(place: int) -> None:
    """Each of the specification's own example files is a valid spec."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    spec = read_spec(sorted(SHARED.glob("*.yaml"))[place])
    assert spec.budget_usd > Usd.ZERO
    assert spec.project.strip()
    assert parse_spec(json.loads(spec.canonical()), "f") == spec


def test_the_skeleton_is_a_valid_spec() -> None:
    """What ``spec init`` writes can be run, and so can each of its options."""
    document = load_yaml(SKELETON, "f")
    assert parse_spec(document.value, "f", document.line_of).budget_usd == Usd.parse("2")
    opened = "\n".join(
        line.removeprefix("# ") if line.startswith(("#   ", "# ")) and (":" in line or "- " in line) else line
        for line in SKELETON.splitlines()
    )
    options = {
        name: load_yaml(opened[opened.index(f"\n{name}:") :].split("\n\n")[0], "f").value
        for name in ("project_id", "quality_targets", "policies", "tasks", "providers", "models")
    }
    merged = {**document.value, **{key: item for value in options.values() for key, item in value.items()}}
    spec = parse_spec(merged, "f")
    assert spec.tasks[1].dependencies == ("stats",)
    assert spec.models[0].slots == ("deepseek-chat",)
    assert spec.project_id == "csv-statistics"


def test_all_problems_come_out_together_in_the_order_of_their_lines() -> None:
    """One reading finds everything that is wrong."""
    assert problems("budget_usd: -1\nproject: 5\ncritera: x\nverbose: yes\n") == [
        "f:1: the key 'criteria' is required",
        "f:1: budget_usd: -1 is not between 0 and 1e+09",
        "f:2: project: expected a text, found the number 5; put it in quotes",
        "f:3: critera: unknown key; did you mean 'criteria'?",
        "f:4: verbose: expected true or false, found the text 'yes'",
    ]


WRONG = {
    "budget_usd: 1e999": "expected a finite amount, found inf",
    "budget_usd: .nan": "expected a finite amount, found nan",
    "budget_usd: true": "expected an amount in US dollars as a number, found true",
    'budget_usd: "5"': "found the text '5'",
    "budget_usd: 0.0000000001": "more than nine decimals",
    "budget_usd: 99999999999": "not between",
    "time_seconds: 0": "0 is not above 0",
    "time_seconds: .inf": "finite",
    "time_seconds: [1]": "expected a number, found a list",
    "concurrency: 0": "0 is not between 1 and 1000",
    "concurrency: 2.5": "expected a whole number, found the number 2.5",
    "concurrency: true": "expected a whole number, found true",
    f"concurrency: {'9' * 400}": "is not between",
    f"plateau: {'9' * 400}": "is not between",
    "verbose: 1": "expected true or false, found the number 1",
    "project_id: ../x": "an id is 1 to 64 letters",
    "project_id: 2024": "put it in quotes",
    'output_dir: "a\\0b"': "without control characters",
    "quality_targets: {code_generaton: 0.5}": "did you mean 'code_generation'?",
    "quality_targets: {code_review: 1.01}": "1.01 is not between 0 and 1",
    "quality_targets: [a]": "expected a mapping, found a list",
    "policies: {name: a}": "expected a list, found a mapping",
    "policies: [{allow_training_on_output: false}]": "the key 'name' is required",
    "policies: [{name: a, allowed_regions: eu}]": "expected a list, found the text 'eu'",
    "policies: [{name: a, allowed_models: [1]}]": "expected a text, found the number 1",
    "policies: [{name: a, enforcement_mode: sof}]": "expected hard, soft or monitor, found the text 'sof'; did you",
    "policies: [{name: a, max_cost_per_task_usd: -1}]": "-1 is not between 0 and",
    "policies: [{name: a, rate_limit: 3}]": "expected a mapping, found the number 3",
    "policies: [{name: a, rate_limit: {calls_per_minute: 0}}]": "0 is not between 1 and",
    "policies: [{name: a, rate_limit: {calls_per_hour: 1}}]": "unknown key; did you mean",
    "node_policies: [{name: a}]": "expected a mapping, found a list",
    "node_policies: {plan: {name: a}}": "expected a list, found a mapping",
    "policies: [{name: a, pii_allowed: true}]": "not supported yet",
    "policies: [{name: a, max_latency_ms: 0}]": "0 is not above 0",
    "policies: [{name: a, alowed_models: []}]": "did you mean 'allowed_models'?",
    "providers: {}": "the mapping is empty",
    "providers: [a]": "expected a mapping, found a list",
    "providers: {a: 5}": "expected a mapping, found the number 5",
    "providers: {a: {b: .nan}}": "expected a finite number, found nan",
    "providers: {a: {b: 99999999999999999999}}": "does not fit 64 bits",
    "models: [{id: a, provider: b, price: {input: 1}}]": "the key 'output' is required",
    "models: [{id: a, provider: b, price: {input: -1, output: 1}}]": "-1 is not between",
    **{
        f"models: [{{id: a, provider: b, price: {{input: 1, output: 2, rates: [{{{rate}}}]}}}}]": message
        for rate, message in {
            "input: 1, output: 2": "a rate needs a condition: over, since, hours or days",
            "output: 2, over: 3": "the key 'input' is required",
            "input: 1, output: 2, over: 0": "0 is not between 1",
            "input: 1, output: 2, hours: 9-17": "times of the UTC day such as",
            'input: 1, output: 2, hours: "24:00-01:00"': "times of the UTC day such as",
            'input: 1, output: 2, hours: "01:00-01:00"': "the times are equal",
            "input: 1, output: 2, since: 2027-13-01": "2027-13-01 is no date of the calendar",
            "input: 1, output: 2, since: 1969-12-31": "1969-12-31 is before 1970",
            "input: 1, output: 2, since: 9999-12-31T23:59-23:59": "no date of the calendar",
            "input: 1, output: 2, since: soon": "expected a date such as",
        }.items()
    },
    "models: [{id: a, provider: b}, {id: a, provider: b}]": "stands above already",
    "models: [{id: a}]": "the key 'provider' is required",
    "models: [{id: a, provider: b, trains_on_data: no}]": "expected true or false",
    "models: [{id: a, provider: b, context: 0}]": "0 is not between",
    "routing: {backend: [x]}": "expected a text, found a list",
    "routing: {table: {code_review: []}}": "the list is empty",
    "routing: {table: {code_review: [a, a]}}": "stands in the list twice",
    "routing: {tabel: {}}": "did you mean 'table'?",
    "review: {cross_vendor: of}": "did you mean 'off'?",
    "review: {cross_vendor: false}": "expected require, prefer or off, found false",
    "evaluate: {runs: 0}": "0 is not between",
    "evaluate: {on_disagree: median}": "found the text 'median'",
    "validators: {sandbox: docker}": "expected auto, bwrap, landlock or none",
    "task_paths: {1: ../x.py}": "does not climb",
    "task_paths: {1: .git/config}": "does not climb",
    "validators: {missing_tool: ignore}": "expected skip or fail",
    "phase_budgets: {generation: 0.9, evaluation: 0.2}": "the shares add up to 1.1, more than 1",
    "phase_budgets: {review: 0.2}": "unknown key",
    "limits: {requests_per_minute: {a: 0}}": "0 is not between",
    "limits: {requests_per_minute: [60]}": "expected a whole number, or a mapping from providers to such numbers",
    "limits: {requests_per_minute: {}}": "the mapping is empty",
    "limits: {tokens_per_minute: true}": "expected a whole number, or a mapping from providers to such numbers",
    "cache: x": "expected true or false",
    "enhance: 1": "expected true or false",
    "advise: [x]": "expected true or false",
    "limits: {tries: 0}": "0 is not between",
    "limits: {breaker: {failures: true}}": "expected a whole number, found true",
    "limits: {breaker: {seconds: 0}}": "0 is not above 0",
    "limits: {iterations: {critic: 1}}": "unknown key",
    "limits: {max_tokens: {critc: 1}}": "did you mean 'critic'?",
    "policy_files: policies.yaml": "expected a list, found the text 'policies.yaml'",
    "allow_unbounded: 1": "expected true or false",
    "exporters: x": "expected a mapping, found the text 'x'",
    "exporters: {json: 1}": "expected a mapping, found the number 1",
    "exporters: {json: {every_seconds: -1}}": "-1 is not between 0 and 86400",
    "verify_cmd: [make, check]": "expected a text, found a list",
    "enhance: x": "expected true or false, found the text 'x'",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_cannot_be_used_is_said_with_line_and_key(line: str) -> None:
    """Each wrong value gives one problem, at its line, naming its key."""
    (problem,) = problems(with_keys(line))
    assert problem.startswith(f"f:3: {line.partition(':')[0]}")
    assert WRONG[line] in problem
    assert len(problem) < 600
    assert "\n" not in problem


@pytest.mark.parametrize("text", ["project: '  '\ncriteria: c", "project:\ncriteria: c", "project: [a]\ncriteria: c"])
def test_a_project_is_a_text_with_something_in_it(text: str) -> None:
    """Neither blanks nor nothing nor a list describe a project."""
    (problem,) = problems(text)
    assert problem.startswith("f:1: project: ")


def test_what_is_no_mapping_is_no_spec() -> None:
    """An empty file, a list and a text are refused."""
    assert problems("# nothing") == ["f:1: the document is empty"]
    assert problems("- a") == ["f:1: expected a mapping, found a list"]
    assert problems("hello") == ["f:1: expected a mapping, found the text 'hello'"]


def test_a_price_is_exact() -> None:
    """Money is read from its digits, not through a float's error."""
    spec = parse_spec(load_yaml(with_keys("budget_usd: 123456789.123456789"), "f").value, "f")
    assert spec.budget_usd == Usd(123456789_123456789)


def test_arguments_give_the_same_spec_as_a_file() -> None:
    """Amounts, enums, paths and the house's own classes stand where a file has numbers and texts."""
    spec = spec_from(
        "p",
        "c",
        budget_usd=Usd.parse("0.3"),
        output_dir=Path("out"),
        quality_targets={TaskType.CODE_GEN: 0.5},
        tasks=[TaskSpec(id="a", type=TaskType.CODE_GEN, prompt="x"), {"id": "b", "type": "code_review", "prompt": "y"}],
        policies=(Policy("p", allowed_models=()),),
        review=ReviewSpec(cross_vendor=CrossVendor.OFF),
        models=[ModelInfo("m", "v", "v", Price(Usd(1), Usd(2)))],
    )
    document = load_yaml(
        with_keys(
            "budget_usd: 0.3\noutput_dir: out\nquality_targets: {code_generation: 0.5}\n"
            "tasks: [{id: a, type: code_generation, prompt: x}, {id: b, type: code_review, prompt: y}]\n"
            "policies: [{name: p, allowed_models: []}]\nreview: {cross_vendor: off}\n"
            "models: [{id: m, provider: v, price: {input: 0.000000001, output: 0.000000002}}]"
        ),
        "f",
    )
    assert spec == parse_spec(document.value, "f", document.line_of)


def test_wrong_arguments_are_refused_without_a_line() -> None:
    """Python's arguments have no lines, so none is made up; unknown objects are refused too."""

    class Odd(StrEnum):
        A = "unknown"

    with pytest.raises(SpecError) as caught:
        spec_from(
            "p", "c", concurrency=0, critria="x", providers={"a": {"b": object()}}, review={"cross_vendor": Odd.A}
        )
    assert sorted(line.partition(":")[2].split(":")[0] for line in caught.value.problems) == [
        " concurrency",
        " critria",
        " providers.a.b",
        " review.cross_vendor",
    ]


def test_policies_can_be_read_by_themselves() -> None:
    """A list inside another document is read at its own address."""
    document = load_yaml("x:\n  y:\n    - {name: a}\n    - {nam: b}\n", "f")
    assert parse_policies([{"name": "a"}], "f") == (Policy("a"),)
    with pytest.raises(SpecError) as caught:
        parse_policies(document.value["x"]["y"], "f", document.line_of, ("x", "y"))
    assert [line.split(": ")[:2] for line in caught.value.problems] == [["f:4", "x.y[1].nam"], ["f:4", "x.y[1]"]]


def test_a_models_file_holds_models(tmp_path: Path) -> None:
    """The entries are those of a spec, and nothing else may stand in the file."""
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - {id: a, provider: b, price: {input: 0, output: 0}}\n")
    (model,) = read_models(path)
    assert (model.id, model.vendor, model.source) == ("a", "b", "models file")
    path.write_text("models:\n  - {id: a, provder: b}\nmodel: []\n")
    with pytest.raises(SpecError) as caught:
        read_models(path)
    assert [line.removeprefix(str(path)).split(": ")[0] for line in caught.value.problems] == [":2", ":2", ":3"]


@given(spec_documents())
def test_generated_documents_are_valid(document: dict[str, Any]) -> None:
    """The strategy for documents gives what a file may hold."""
    assert parse_spec(document, "f").project == document["project"]


@given(DATA)
def test_any_data_is_a_spec_or_a_spec_error(data: Any) -> None:
    """Whatever a document holds, nothing but a SpecError comes out."""
    for value in (data, {"project": "p", "criteria": "c", "tasks": data, "models": [data], "policies": data}):
        with pytest.raises(SpecError):
            parse_spec(value, "f", lambda path: None)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "10 MB": lambda path: path.write_bytes(b"#" * 10_000_000),
    "deeply nested": lambda path: path.write_text("project: " + "[" * 5000),
    "alias bomb": lambda path: path.write_text(
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"b{n}: &a [{'*a,' * 9}]\n" for n in range(9))
    ),
    "merge bomb": lambda path: path.write_text("a: &a {x: 1}\nb: {<<: [*a, *a]}\n"),
    "duplicate key": lambda path: path.write_text("project: a\nproject: b\ncriteria: c\n"),
    "python tag": lambda path: path.write_text("project: !!python/object/apply:os.system ['true']\n"),
    "not UTF-8": lambda path: path.write_bytes(b"project: \xff\n"),
    "not a number": lambda path: path.write_text("project: p\ncriteria: c\nbudget_usd: .nan\n"),
    "infinite": lambda path: path.write_text("project: p\ncriteria: c\nbudget_usd: .inf\n"),
    "negative": lambda path: path.write_text("project: p\ncriteria: c\nbudget_usd: -2\n"),
    "unknown key": lambda path: path.write_text("project: p\ncriteria: c\nbudget: 2\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "pipe": _fifo,
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "missing": lambda path: None,
    "loop": lambda path: path.symlink_to(path),
}


def test_a_file_is_named_only_for_tasks_that_are_there() -> None:
    """A given plan's tasks go by their ids and by their numbers; what a model will plan is not known yet."""
    plan = "tasks: [{id: mean, type: summarization, prompt: p}]\n"
    paths = "task_paths:\n  mean: a.md\n  1: a.md\n  2: b.md\n  maen: c.md\n"
    assert problems(with_keys(plan + paths)) == [
        "f:7: task_paths.2: the plan has no task '2'; there are mean, numbered from 1",
        "f:8: task_paths.maen: the plan has no task 'maen'; did you mean 'mean'?",
    ]
    document = load_yaml(with_keys(paths), "f")
    assert len(parse_spec(document.value, "f", document.line_of).task_paths) == 4


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("read", [read_spec, read_models])
def test_hostile_files_are_refused_with_file_and_line(
    tmp_path: Path, case: str, read: Callable[[Path], object]
) -> None:
    """Each kind of bad file gives lines that start with its name and a line."""
    path = tmp_path / "bad.yaml"
    HOSTILE[case](path)
    with pytest.raises(SpecError) as caught:
        read(path)
    assert caught.value.problems
    for line in caught.value.problems:
        start, number, rest = line.removeprefix(str(path)).split(":", 2)
        assert start == ""
        assert int(number) >= 1
        assert rest.strip()
        assert "\n" not in line

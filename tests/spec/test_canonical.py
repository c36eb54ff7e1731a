from pathlib import Path

from hypothesis import given

from orchestrator.documents import load_json
from orchestrator.spec import Spec, differences, parse_spec, read_spec, spec_from
from orchestrator.testing.specs import specs

FILES = Path(__file__).parent / "files"


def test_the_text_is_sorted_exact_and_without_defaults() -> None:
    """The same spec has one text however it was written."""
    spec = spec_from("p", "ü", budget_usd=0.1, concurrency=3, time_seconds=60.0)
    assert spec.canonical() == '{"budget_usd":0.1,"criteria":"ü","project":"p","time_seconds":60}'
    large = parse_spec({"project": "p", "criteria": "c", "budget_usd": load_json("1234567.000000001", "f").value}, "f")
    assert '"budget_usd":1234567.000000001,' in large.canonical()


def test_the_folder_is_no_part_of_a_spec() -> None:
    """A moved file holds the same spec."""
    assert str(FILES) not in read_spec(FILES / "everything.yaml").canonical()


@given(specs())
def test_the_text_reads_as_the_same_spec(spec: Spec) -> None:
    """Canonical text, read again, gives the spec, and that gives the text."""
    text = spec.canonical()
    again = parse_spec(load_json(text, "f").value, "f")
    assert again == spec
    assert again.canonical() == text


@given(specs(), specs())
def test_only_different_specs_differ(one: Spec, other: Spec) -> None:
    """A spec never differs from itself; two specs differ exactly where their texts do, in single lines."""
    assert differences(one.canonical(), one.canonical()) == []
    lines = differences(one.canonical(), other.canonical())
    assert bool(lines) == (one.canonical() != other.canonical())
    assert all("\n" not in line for line in lines)


def test_each_changed_key_has_its_line() -> None:
    """Tasks are compared by id, absent values are shown as such, and long texts from where they differ."""
    task = {"id": "a", "type": "code_review", "prompt": "x"}
    long = "word " * 40
    before = spec_from(f"{long}old", "c", budget_usd=5, tasks=[task, {**task, "id": "b"}])
    after = spec_from(
        f"{long}new", "c", verbose=True, budget_usd=5, tasks=[{**task, "id": "c"}, {**task, "prompt": "y"}]
    )
    assert differences(before.canonical(), after.canonical()) == [
        'project: "…word word word word old" → "…word word word word new"',
        'tasks.a.prompt: "x" → "y"',
        'tasks.b: {"id":"b","prompt":"x","type":"code_review"} → (not given)',
        'tasks.c: (not given) → {"id":"c","prompt":"x","type":"code_review"}',
        "verbose: (not given) → true",
    ]


def test_another_order_is_a_difference() -> None:
    """The order of tasks counts, so it is shown."""
    task = {"id": "a", "type": "code_review", "prompt": "x"}
    one = spec_from("p", "c", tasks=[task, {**task, "id": "b"}])
    other = spec_from("p", "c", tasks=[{**task, "id": "b"}, task])
    assert differences(one.canonical(), other.canonical()) == ["tasks: in another order"]


def test_what_is_too_long_for_a_line_is_shown_by_its_parts() -> None:
    """Of a policy that is new, each key; of a long list, from where it differs."""
    models = [f"model-{number}" for number in range(20)]
    policy = {"name": "x", "blocked_models": ["north"], "enforcement_mode": "monitor", "max_latency_ms": 5000}
    one = spec_from("p", "c", policies=[{"name": "long", "blocked_models": models}])
    other = spec_from("p", "c", policies=[{"name": "long", "blocked_models": [*models, "last"]}, policy])
    assert differences(one.canonical(), other.canonical()) == [
        'policies.long.blocked_models: …model-18","model-19"] → …model-18","model-19","last"]',
        'policies.x.blocked_models: (not given) → ["north"]',
        'policies.x.enforcement_mode: (not given) → "monitor"',
        "policies.x.max_latency_ms: (not given) → 5000",
        'policies.x.name: (not given) → "x"',
    ]

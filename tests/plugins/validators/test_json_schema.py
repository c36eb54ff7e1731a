import sys
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate, Finding, ValidatorContext
from orchestrator_validators.json_schema import json_schema
from tests.plugins.validators import contained

PERSON: Mapping[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def judge(content: str, schema: Mapping[str, Any] | None = None) -> Finding:
    """The validator's finding about a piece of JSON."""
    return json_schema(Candidate("t", TaskType.DATA_EXTRACTION, content, content, schema), ValidatorContext())


@pytest.mark.parametrize("content", ["{}", "[1, 2.5e3]", "null", '"x"', ' {"a": {"b": []}} '])
def test_valid_json_is_enough_without_a_schema(content: str) -> None:
    """A task without a schema asks for JSON of any shape."""
    assert judge(content).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "content",
    ["", "{", "{'a': 1}", '{"a": 1,}', "NaN", "[Infinity]", "1e999", '{"a": 1, "a": 2}', "{} {}", "[" * 100_000],
)
def test_what_is_not_strict_json_fails(content: str) -> None:
    """Truncation, single quotes, NaN, infinities, duplicate keys and endless nesting fail."""
    finding = judge(content)

    assert finding.verdict is Verdict.FAILED
    assert finding.details


def test_json_that_meets_the_schema_passes() -> None:
    """An instance of the schema passes."""
    assert judge('{"name": "Ada", "age": 36}', PERSON).verdict is Verdict.PASSED


def test_each_violation_is_named_with_its_place() -> None:
    """The reviser is told where the output breaks the schema and how."""
    finding = judge('{"age": -1, "size": 3}', PERSON)

    assert finding.verdict is Verdict.FAILED
    assert "$.age: -1 is less than the minimum of 0" in finding.details
    assert "'name' is a required property" in finding.details
    assert "'size'" in finding.details


def test_many_violations_are_cut() -> None:
    """At most five violations are listed, and the rest is counted."""
    finding = judge("[1, 2, 3, 4, 5, 6, 7]", {"items": {"type": "string"}})

    assert len(finding.details.splitlines()) == 6
    assert finding.details.endswith("and 2 more")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"type": "nonsense"},
        {"$ref": "#"},
        {"$ref": "#/$defs/missing"},
    ],
)
def test_a_schema_that_cannot_be_used_is_no_fault_of_the_output(schema: Mapping[str, Any]) -> None:
    """A remote reference is not fetched; it and a broken schema make the verdict unknown."""
    assert judge("{}", schema).verdict is Verdict.UNKNOWN


def test_without_jsonschema_the_check_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is absent, the skip says what to install; invalid JSON still fails."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)

    assert judge("{}", PERSON).verdict is Verdict.SKIPPED
    assert "pip install" in judge("{}", PERSON).details
    assert judge("{", PERSON).verdict is Verdict.FAILED
    assert judge("{}").verdict is Verdict.PASSED


@given(st.text())
def test_any_text_gets_a_verdict(content: str) -> None:
    """No text makes the validator raise."""
    assert judge(content, PERSON).verdict in (Verdict.PASSED, Verdict.FAILED)


@pytest.mark.parametrize(("text", "seconds"), [("aaa", 30.0), ("a" * 40 + "!", 2.0)])
def test_a_pattern_is_tried_where_it_can_be_ended(text: str, seconds: float) -> None:
    """A model's pattern that takes for ever costs its own process: the verdict is unknown, and the run goes on."""
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    content = f'{{"x": "{text}"}}'

    def hurried(candidate: Candidate, context: ValidatorContext) -> Finding:
        return json_schema(candidate, evolve(context, timeout=seconds))

    finding = contained.judge(hurried, Candidate("t", TaskType.DATA_EXTRACTION, content, content, schema))
    if text == "aaa":
        assert finding.verdict is Verdict.PASSED, finding.details
    else:
        assert finding.verdict is Verdict.UNKNOWN
        assert "was ended (time)" in finding.details


def test_references_that_double_the_work_at_each_level_are_ended() -> None:
    """A schema that refers to itself twice is exponential in the depth of the value."""
    twice = {"type": "array", "items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}
    content = "[" * 60 + "]" * 60

    def hurried(candidate: Candidate, context: ValidatorContext) -> Finding:
        return json_schema(candidate, evolve(context, timeout=2.0))

    finding = contained.judge(hurried, Candidate("t", TaskType.DATA_EXTRACTION, content, content, twice))
    assert (finding.verdict, "was ended (time)" in finding.details) == (Verdict.UNKNOWN, True)

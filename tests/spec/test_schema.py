import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents import load_yaml
from orchestrator.errors import SpecError
from orchestrator.spec import json_schema, parse_spec
from orchestrator.testing.specs import DATA, spec_documents
from tests.spec.test_reading import WRONG, with_keys

jsonschema = pytest.importorskip("jsonschema")

FILES = Path(__file__).parent / "files"


def valid(value: Any) -> bool:
    """Whether the schema accepts a document."""
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(value))


def test_the_schema_is_a_schema() -> None:
    """It is valid draft 2020-12, plain JSON, and closed at the top."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == ["project", "criteria"]
    assert schema["additionalProperties"] is False


def test_every_key_says_what_it_is() -> None:
    """An editor shows a line for each key of the file."""
    assert all(entry["description"].endswith(".") for entry in json_schema()["properties"].values())


@pytest.mark.parametrize("name", ["simple.yaml", "flat.yaml", "everything.yaml"])
def test_files_that_can_be_read_meet_the_schema(name: str) -> None:
    """The schema refuses no spec of the project's own."""
    assert valid(load_yaml((FILES / name).read_text(), name).value)


@given(spec_documents())
def test_valid_documents_meet_the_schema(document: dict[str, Any]) -> None:
    """Whatever the reader accepts, the schema does."""
    assert valid(document)


BEYOND_A_SCHEMA = {
    "budget_usd: .nan",
    "budget_usd: 0.0000000001",
    "providers: {a: {b: .nan}}",
    "providers: {a: {b: 99999999999999999999}}",
    "models: [{id: a, provider: b}, {id: a, provider: b}]",
    *(
        f"models: [{{id: a, provider: b, price: {{input: 1, output: 2, rates: [{{input: 1, output: 2, {when}}}]}}}}]"
        for when in (
            'hours: "01:00-01:00"',
            "since: 2027-13-01",
            "since: 1969-12-31",
            "since: 9999-12-31T23:59-23:59",
        )
    ),
    "phase_budgets: {generation: 0.9, evaluation: 0.2}",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_files_fail_the_schema_too(line: str) -> None:
    """An editor marks what the reader refuses, but for sums, comparisons and numbers that JSON does not have."""
    assert valid(load_yaml(with_keys(line), "f").value) == (line in BEYOND_A_SCHEMA)


@given(spec_documents(), st.data())
def test_the_schema_refuses_what_the_reader_refuses(document: dict[str, Any], data: st.DataObject) -> None:
    """With one value replaced by anything, both say the same, where a schema can say it at all."""
    name = data.draw(st.sampled_from(sorted(json_schema()["properties"])))
    changed = {**document, name: data.draw(DATA)}
    readable = True
    try:
        parse_spec(changed, "f")
    except SpecError:
        readable = False
    # A schema knows no blanks, no sums, no sizes of free numbers, and holds 1.0 for an integer.
    if readable or not any(isinstance(changed[name], kind) for kind in (str, float, dict, list)):
        assert valid(changed) == readable

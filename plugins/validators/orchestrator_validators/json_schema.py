"""The validator ``json_schema``: the content is strict JSON and meets the task's JSON Schema, where it has one.

Strict: no duplicate keys, no NaN or Infinity. A schema is read by its own ``$schema``, else as draft 2020-12. A
``$ref`` to another host is never fetched. Without the package ``jsonschema`` only a task without a schema can pass.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files as resources
from importlib.util import find_spec
from typing import Any, Final

from orchestrator.documents import parse_json
from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, Verdict, hookimpl
from orchestrator_validators.schema_check import check

_SECONDS: Final = 15.0
_PATTERNS: Final = frozenset({"pattern", "patternProperties"})
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def json_schema(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Parse the content and check it against the schema."""
    try:
        value = parse_json(candidate.content, _object)
    except RecursionError:
        return Finding.failed("the JSON is nested too deeply")
    except ValueError as error:
        return Finding.failed(f"not valid JSON: {error}")
    return Finding.passed() if candidate.schema is None else _check(value, dict(candidate.schema), context)


def _check(value: Any, schema: Mapping[str, Any], context: ValidatorContext) -> Finding:
    if find_spec("jsonschema") is None:
        return Finding.skipped(
            "the schema was not checked: jsonschema is not installed (pip install 'multi-llm-orchestrator[schema]')"
        )
    if _may_take_for_ever(schema):
        return _contained(value, schema, context)
    verdict, details = check(value, schema)
    return Finding(Verdict(verdict), details)


def _contained(value: Any, schema: Mapping[str, Any], context: ValidatorContext) -> Finding:
    """In a process of its own, which can be ended: a pattern that takes for ever holds up all threads."""
    files = {
        "schema_check.py": resources("orchestrator_validators").joinpath("schema_check.py").read_bytes(),
        "schema.json": json.dumps(schema).encode(),
        "value.json": json.dumps(value).encode(),
    }
    seconds = min(_SECONDS, context.timeout)
    ran = context.run((sys.executable, "-I", "schema_check.py"), files, seconds=seconds, executes=False)
    if ran.ended:
        return Finding.unknown(f"the check against the schema was ended ({ran.ended}) after {seconds:g} s")
    try:
        verdict, details = json.loads(ran.output)
        return Finding(Verdict(verdict), details)
    except ValueError:
        return Finding.unknown(f"the check against the schema ended with status {ran.code}\n{ran.output[-1000:]}")


def _may_take_for_ever(schema: Mapping[str, Any]) -> bool:
    """Whether a pattern is in it, or two references, through which the work can double at each level of a value."""
    keys = list(_keys(schema))
    return not _PATTERNS.isdisjoint(keys) or sum(key in _REFERENCES for key in keys) > 1


def _keys(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        yield from schema
    for each in schema.values() if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ():
        yield from _keys(each)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return value


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return json_schema

"""The validator ``json_schema``: the content is strict JSON and meets the task's JSON Schema, where it has one.

Strict: no duplicate keys, no NaN or Infinity. A schema is read by its own ``$schema``, else as draft 2020-12. A
``$ref`` to another host is never fetched. Without the package ``jsonschema`` only a task without a schema can pass.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, Verdict, hookimpl

_SHOWN: Final = 5


def json_schema(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Parse the content and check it against the schema."""
    try:
        value = json.loads(
            candidate.content, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError:
        return Finding.failed("the JSON is nested too deeply")
    except ValueError as error:
        return Finding.failed(f"not valid JSON: {error}")
    return Finding.passed() if candidate.schema is None else _check(value, dict(candidate.schema))


def _check(value: Any, schema: Mapping[str, Any]) -> Finding:
    try:
        import jsonschema  # type: ignore[import-untyped]
        import jsonschema_specifications  # type: ignore[import-untyped]
        import referencing.exceptions
    except ImportError:
        return Finding.skipped(
            "the schema was not checked: jsonschema is not installed (pip install 'multi-llm-orchestrator[schema]')"
        )
    try:
        kind: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        # A registry of the published drafts only: what is not in it is not fetched.
        errors = sorted(
            kind(schema, registry=jsonschema_specifications.REGISTRY).iter_errors(value),
            key=lambda error: [str(step) for step in error.absolute_path],
        )
    except jsonschema.SchemaError as error:
        return Finding(Verdict.UNKNOWN, f"the task's schema is not a JSON Schema: {error.message[:300]}")
    except referencing.exceptions.Unresolvable as error:
        return Finding(Verdict.UNKNOWN, f"the task's schema refers to {error.ref!r}, which is not fetched")
    except RecursionError:
        return Finding(Verdict.UNKNOWN, "the task's schema refers to itself without end")
    if not errors:
        return Finding.passed()
    lines = [f"{error.json_path}: {error.message[:300]}" for error in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"and {len(errors) - _SHOWN} more")
    return Finding.failed("\n".join(lines))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is too large")
    return value


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return json_schema

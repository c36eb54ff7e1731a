"""Checks a JSON value against a schema. Needs ``jsonschema`` and nothing of this program, so that a sandbox can run it.

Run as a program it reads ``schema.json`` and ``value.json`` and prints the verdict and its details as JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOWN = 5


def check(value: Any, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict (passed, failed, unknown) and its details.

    Raises:
        ImportError: jsonschema is not installed.
    """
    import jsonschema  # type: ignore[import-untyped]
    import jsonschema_specifications  # type: ignore[import-untyped]
    import referencing.exceptions

    try:
        kind: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        # A registry of the published drafts only: what is not in it is not fetched.
        errors = sorted(
            kind(schema, registry=jsonschema_specifications.REGISTRY).iter_errors(value),
            key=lambda error: [str(step) for step in error.absolute_path],
        )
    except jsonschema.SchemaError as error:
        return "unknown", f"the task's schema is not a JSON Schema: {error.message[:300]}"
    except referencing.exceptions.Unresolvable as error:
        return "unknown", f"the task's schema refers to {error.ref!r}, which is not fetched"
    except RecursionError:
        return "unknown", "the task's schema refers to itself without end"
    if not errors:
        return "passed", ""
    lines = [f"{error.json_path}: {error.message[:300]}" for error in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"and {len(errors) - SHOWN} more")
    return "failed", "\n".join(lines)


if __name__ == "__main__":
    read = (json.loads(Path(name).read_text(encoding="utf-8")) for name in ("value.json", "schema.json"))
    sys.stdout.write(json.dumps(check(*read)))

"""The JSON Schema of a spec file, for editors; made from the kinds that read the file."""

from typing import Any

from orchestrator.spec.spec_keys import SPEC


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a spec file.

    What a schema cannot say (dependencies that exist, shares that add up) only ``orchestrate spec validate`` finds.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://multi-llm-orchestrator/spec/1",
        "title": "multi-llm-orchestrator spec",
        "description": "What a user wants of one run.",
        **SPEC.schema(),
    }

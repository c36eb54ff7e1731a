"""What the local vendor says in every role: plausible, and a function of the prompt alone."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.models import TaskType
from tests.servers.openai_server import role_of, text_of

PLAN: Final[Mapping[str, Any]] = {
    "tasks": [
        {
            "id": "model",
            "type": "code_generation",
            "title": "Write the data model",
            "prompt": "Write the module that holds the data model, with type hints and docstrings.",
            "dependencies": [],
            "hard_validators": ["python_syntax"],
        },
        {
            "id": "fields",
            "type": "data_extraction",
            "title": "List the fields",
            "prompt": "List the fields of the data model and their types as JSON.",
            "dependencies": [],
            "hard_validators": ["json_schema"],
        },
        {
            "id": "design",
            "type": "complex_reasoning",
            "title": "Weigh the designs",
            "prompt": "Weigh two ways to store the data and recommend one.",
            "dependencies": ["fields"],
            "hard_validators": [],
        },
        {
            "id": "review",
            "type": "code_review",
            "title": "Review the data model",
            "prompt": "Review the data model module: correctness, naming, edge cases.",
            "dependencies": ["model"],
            "hard_validators": ["length"],
        },
        {
            "id": "summary",
            "type": "summarization",
            "title": "Summarise the project",
            "prompt": "Summarise the design and the review for a newcomer.",
            "dependencies": ["design", "review"],
            "hard_validators": ["length"],
        },
    ]
}
"""The plan of every project: five tasks of five types, two of them independent."""


SUGGESTIONS: Final[Mapping[str, Any]] = {
    "suggestions": [
        {
            "type": "completeness",
            "title": "Name what is stored",
            "patch_description": "Every entry has an id and a title.",
            "patch_criteria": "",
        },
        {
            "type": "criteria",
            "title": "Measure the tests",
            "patch_description": "",
            "patch_criteria": "the tests cover every branch",
        },
        {
            "type": "risk",
            "title": "Say what happens without a disk",
            "patch_description": "A full disk is reported.",
            "patch_criteria": "a test fills the disk",
        },
    ]
}
"""What the enhancer suggests for every project: one of each type."""

ADVICE: Final[Mapping[str, Any]] = {
    "app_type": "fastapi",
    "structural_pattern": "layered",
    "topology": "monolith",
    "api_paradigm": "REST",
    "data_paradigm": "relational",
    "storage": "SQLite",
    "caching": "none",
    "queuing": "none",
    "rationale": "One team and one service: routes, services and a repository keep it easy to change.",
}
"""What the advisor chooses for every project."""


def play(request: Mapping[str, Any]) -> str:
    """Answer in the role the system prompt names; equal prompts get equal answers."""
    # each run has marks of its own
    asked = re.sub(r"(?m)^(=== (?:BEGIN|END) .*) [\d-]+ ===$", r"\1 ===", text_of(request, "user"))
    match role_of(request):
        case "decomposer":
            return json.dumps(PLAN, indent=1)
        case "evaluator":
            return json.dumps({"score": 0.93, "reasons": "It does what the task asks; the edge cases are named."})
        case "enhancer":
            return json.dumps(SUGGESTIONS)
        case "advisor":
            return json.dumps(ADVICE)
        case "critic":
            return "The output meets the task. One suggestion: state what happens with empty input."
    return draft(task_type(request), hashlib.sha256(asked.encode()).hexdigest()[:8])


def task_type(request: Mapping[str, Any]) -> TaskType:
    """The type a prompt names: as in ``TASK (code_review)`` or ``type: code_review``, else prose."""
    everything = text_of(request, "system") + "\n" + text_of(request, "user")
    names = "|".join(TaskType)
    found = re.search(rf"\bTASK \(({names})\)", everything) or re.search(rf"(?i)\btype\W{{1,4}}({names})\b", everything)
    return TaskType(found.group(1).lower()) if found else TaskType.CREATIVE_WRITING


def draft(kind: TaskType, mark: str) -> str:
    """An output of one type; ``mark`` tells those of different prompts apart."""
    if kind is TaskType.CODE_GEN:
        return (
            "Here is the module.\n\n```python\n"
            f'"""The data model, revision {mark}."""\n\n\n'
            "def normalise(name: str) -> str:\n"
            '    """The name in lower case, without white space around it."""\n'
            "    return name.strip().lower()\n```\n"
        )
    if kind is TaskType.DATA_EXTRACTION:
        fields = [{"name": "id", "type": "integer"}, {"name": "title", "type": "string"}]
        return "```json\n" + json.dumps({"revision": mark, "fields": fields}) + "\n```"
    return (
        f"## Findings ({mark})\n\nThe parts fit together: the data model is small, its names are plain, and each "
        "function does one thing. Empty input is handled; very large input is read at once, which is fine for the "
        "sizes in question and should be said in the documentation."
    )

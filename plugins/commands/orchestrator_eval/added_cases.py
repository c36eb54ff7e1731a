"""A case out of a task of a run: ``eval add``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.documents import read_document, read_text
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.runs import Engine
from orchestrator.errors import NoTextError, OutputError, SpecError, UsageError
from orchestrator.reading import RunState, TaskState, Texts
from orchestrator.spec.plan import IDENTIFIER
from orchestrator.spec.value_kinds import Place, Refused
from orchestrator_eval.suite_file import read_suite

_GIVEN: Final = "\n\nThe files of the tasks that this one builds on:\n"
_NEW: Final = "suite: {name}\n\n# keys of a spec, for every case: providers, models, criteria …\nspec: {{}}\n\ncases:\n"


def add_case(
    workspace: Engine,
    run: str,
    task: str,
    suite: Path,
    case: str | None = None,
    oracle: Path | None = None,
    grader: Path | None = None,
) -> str:
    """Append a case to a suite file, which is made where it does not exist; the file is otherwise left as it is.

    Args:
        workspace: the data folder that has the run.
        run: its id.
        task: the task's id.
        suite: a YAML file whose last key is ``cases``.
        case: the id of the case; None: the task's.
        oracle: a file with a right answer; None: the run's own output.
        grader: a file with tests (``.py``) or a JSON Schema (``.json``); None: the task's own tests or schema.

    Returns:
        The id of the case.

    Raises:
        UsageError: there is no such task, or nothing to grade by, or the suite has the id already.
        SpecError: a file cannot be used.
    """
    if workspace.log.last(run) is None:
        raise UsageError(f"there is no run {run!r} in {workspace.folder}; see: orchestrate runs list")
    state, texts = workspace.load(run), workspace.texts(run)
    found = state.tasks.get(task)
    if found is None:
        known = ", ".join(state.tasks) or "none"
        raise UsageError(f"the run {run} has no task {task!r}; there are {known}")
    name = _name(case or task)
    item = _item(name, found, state, texts, oracle, grader)
    _append(suite, name, item)
    return name


def _name(text: str) -> str:
    try:
        return IDENTIFIER.read(text, Place("--id"))
    except Refused:
        raise UsageError(f"--id {text}: {IDENTIFIER.hint}") from None


def _item(
    name: str, task: TaskState, state: RunState, texts: Texts, oracle: Path | None, grader: Path | None
) -> dict[str, Any]:
    planned = task.planned
    try:
        prompt = texts.get(planned.prompt)
        tests = texts.get(planned.tests) if planned.tests else None
        schema = json.loads(texts.get(planned.schema)) if planned.schema else None
        path = texts.get(planned.path) if planned.path else None
        criteria = texts.get(state.criteria) if (state.criteria) else None
        own = texts.get(task.output.answer) if task.output is not None else None
    except NoTextError as error:
        raise UsageError(f"the content of the run {error.why}; there is nothing to make a case of") from None
    right = read_text(oracle) if oracle is not None else own
    if right is None:
        raise UsageError(f"the task {task.name} has no output: give a right answer with --oracle FILE")
    beside = Placement(state, texts.get).dependencies(task)
    item: dict[str, Any] = {"id": name, "type": planned.type.value, "prompt": prompt + _beside(beside)}
    optional = {"criteria": criteria, "path": path, "hard_validators": list(planned.validators)}
    item |= {key: value for key, value in optional.items() if value}
    item["grade"] = _grade(grader, tests, schema)
    if tests is not None:
        item["tests"] = tests
    if schema is not None:
        item["schema"] = schema
    item["oracle"] = right
    return item


def _beside(files: dict[str, str]) -> str:
    if not files:
        return ""
    return _GIVEN + "\n".join(f"\n{name}:\n```\n{text.rstrip()}\n```" for name, text in files.items())


def _grade(grader: Path | None, tests: str | None, schema: Any) -> dict[str, Any]:
    if grader is not None:
        text = read_text(grader)
        if grader.suffix == ".json":
            try:
                return {"json_schema": json.loads(text)}
            except ValueError as error:
                raise SpecError([f"{grader}:1: not JSON: {error}"]) from None
        return {"pytest": text}
    if tests is not None:
        return {"pytest": tests}
    if schema is not None:
        return {"json_schema": schema}
    raise UsageError("the task has neither tests nor a schema to grade by: give a grader with --grade FILE")


def _append(suite: Path, name: str, item: dict[str, Any]) -> None:
    """Write the case to the end of the file, and read the whole again: what cannot be read is not kept."""
    is_new = not suite.exists()
    before = _NEW.format(name=suite.stem) if is_new else read_text(suite)
    if not is_new:
        if name in _ids(suite):
            raise UsageError(f"{suite} has a case {name!r} already: choose another --id")
        if suite.suffix == ".json" or not _ends_with_cases(before):
            raise UsageError(f"{suite}: a case can be added to a YAML file whose last key is cases")
    text = before.rstrip() + "\n\n" + _yaml(item, _indent(before))
    temporary = suite.with_name(f".{suite.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        try:
            read_suite(temporary)
        except SpecError as error:
            raise SpecError([each.replace(str(temporary), str(suite)) for each in error.problems]) from None
        temporary.replace(suite)
    except OSError as error:
        raise OutputError(f"{suite}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _ids(suite: Path) -> set[object]:
    """The ids of the cases that a suite has; it may have none yet."""
    value = read_document(suite).value
    cases = value.get("cases") if isinstance(value, Mapping) else None
    return {case.get("id") for case in cases or () if isinstance(case, Mapping)}


def _ends_with_cases(text: str) -> bool:
    keys = [line for line in text.splitlines() if line[:1].isalpha() and ":" in line]
    return bool(keys) and keys[-1].split("#")[0].strip() == "cases:"


def _indent(text: str) -> str:
    """What stands before the dash of an item."""
    items = text.rpartition("\ncases:")[2].splitlines()
    first = next((line for line in items if line.lstrip().startswith("- ")), "  - ")
    return first[: len(first) - len(first.lstrip())]


def _yaml(item: dict[str, Any], indent: str) -> str:
    lines: list[str] = []
    for key, value in item.items():
        lines += _entry(key, value, "  ")
    lines[0] = "- " + lines[0].lstrip()
    return "".join(f"{indent}{line}\n" if line else "\n" for line in lines)


def _entry(key: str, value: Any, indent: str) -> list[str]:
    """A key with its value; a text of several lines as a block, where a block can hold it."""
    if isinstance(value, dict) and key == "grade":
        return [
            f"{indent}{key}:",
            *(line for name, each in value.items() for line in _entry(name, each, indent + "  ")),
        ]
    if isinstance(value, str) and "\n" in value.rstrip("\n") and _is_block(value):
        mark = (
            "|" if value.endswith("\n") and not value.endswith("\n\n") else "|-" if not value.endswith("\n") else "|+"
        )
        return [
            f"{indent}{key}: {mark}",
            *(f"{indent}  {line}" if line else "" for line in value.rstrip("\n").split("\n")),
        ]
    return [f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"]


def _is_block(text: str) -> bool:
    """Whether a text survives as a block: no indented beginning, no odd line breaks or control characters."""
    odd = any(not (letter.isprintable() or letter == "\n") for letter in text)
    return not odd and not text[0].isspace() and not text.endswith("\n\n")

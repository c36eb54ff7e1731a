"""Writes the event reference from the event classes: ``python docs/reference.py > docs/events.md``.

A test compares the page with what this prints, so that the page says what the classes say.
"""

import ast
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from enum import StrEnum
from importlib import import_module

from attrs import fields, has

from orchestrator import events, models, money, settings
from orchestrator.log.codec import SCHEMAS

_KINDS = {
    events.Outcome: ("Outcomes", "Brought in from outside: by a person, a vendor, a validator, the disk."),
    events.Decision: ("Decisions", "Computed by `decide`; `orchestrate replay RUN --verify` computes each again."),
    events.AccountEvent: ("Account events", "In the streams of accounts, in the transaction of the run's own event."),
    events.ArchiveEvent: ("Archived runs", "What is left of a run that `orchestrate log archive` moved into a bundle."),
    events.EvalEvent: ("Events of evaluations", "In the streams `eval/NAME`: which cell is which run, and its grade."),
    events.WorkerEvent: ("Events of workers", "In the streams `worker/NAME`: that a worker began, and that it ended."),
}
_VALUES = (
    events.PluginUsed,
    events.EndedAttempt,
    events.Prior,
    events.ModelCandidate,
    events.AccountEntry,
    events.Reading,
    events.Defect,
    events.Reused,
    events.Totals,
    events.ArchivedSpend,
    events.BatchRefusal,
    models.PlannedTask,
    models.PlanRepair,
    models.Suggestion,
    models.ArchitectureProfile,
    models.ModelInfo,
    models.Allowances,
    models.Allowance,
    money.Price,
    money.Rate,
    money.Usage,
    settings.RunSettings,
)
_INTRODUCTION = """# Events

Every event the program writes, roughly in the order of a run. This page is generated from the classes in
`core/orchestrator/events/`.

A row of the table `events` is `position, stream, version, type, schema, at, data, hash`: `stream` is the run's id or an
account's name, `version` counts within the stream from 1, `at` is microseconds UTC, `data` is the JSON of the fields
below. Amounts are whole nano-dollars; a *digest* names a text in `blobs`.
"""


def _documented(cls: type) -> dict[str, tuple[str, str]]:
    """The annotation and the docstring of each field, as the source has them."""
    tree = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    latest = ""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            latest = node.target.id
            found[latest] = (ast.unparse(node.annotation), "")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and latest:
            found[latest] = (found[latest][0], " ".join(str(node.value.value).split()))
    return found


def _table(cls: type) -> Iterator[str]:
    documented = {
        name: found
        for ancestor in reversed(cls.__mro__)
        if has(ancestor)
        for name, found in _documented(ancestor).items()
    }
    if not documented:
        return
    yield "| field | type | |"
    yield "|---|---|---|"
    for attribute in fields(cls):
        annotation, text = documented[attribute.name]
        kind, about = annotation.replace("|", "\\|"), text.replace("|", "\\|")
        yield f"| `{attribute.name}` | `{kind}` | {about} |"
    yield ""


def _codes() -> Iterator[str]:
    """Every enumeration of codes, with what each member means."""
    for name, kind in _enumerations():
        yield from (f"### {name}", "", inspect.getdoc(kind) or "", "", "| code | |", "|---|---|")
        about = _meanings(kind)
        yield from (f"| `{member.value}` | {about[member.name]} |" for member in kind)
        yield ""


def _enumerations() -> Iterator[tuple[str, type[StrEnum]]]:
    """Those of the modules whose subject is codes: ``codes`` itself, then the others by name."""
    found = [each.name for each in pkgutil.iter_modules(models.__path__) if each.name.endswith("codes")]
    for module in sorted(found, key=lambda name: (name != "codes", name)):
        path = f"{models.__name__}.{module}"
        for name, kind in vars(import_module(path)).items():
            if isinstance(kind, type) and issubclass(kind, StrEnum) and kind.__module__ == path:
                yield name, kind


def _meanings(kind: type[StrEnum]) -> dict[str, str]:
    """What follows each member in the source."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    found, latest = dict[str, str](), ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            latest = node.targets[0].id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and latest:
            found[latest] = " ".join(str(node.value.value).split())
    return found


def reference() -> str:
    """The page."""
    lines = [_INTRODUCTION]
    for kind, (heading, about) in _KINDS.items():
        lines += [f"## {heading}", "", about, ""]
        for name, cls in events.TYPES.items():
            if issubclass(cls, kind):
                schema = SCHEMAS.get(name, 1)
                lines += [f"### `{name}`", "", f"`{cls.__name__}`, schema {schema}. {inspect.getdoc(cls)}", ""]
                lines += _table(cls)
    lines += ["## Values inside events", ""]
    for value in _VALUES:
        assert has(value)
        lines += [f"### {value.__name__}", "", inspect.getdoc(value) or "", ""]
        lines += _table(value)
    lines += ["## Codes", "", "The values of fields that hold a reason, a problem or a limit.", "", *_codes()]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

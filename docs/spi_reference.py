"""Print docs/spi.md: every type of ``orchestrator.spi``. Run: python docs/spi_reference.py > docs/spi.md."""

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from orchestrator import spi

PROGRAM: Final = "the program"
PLUGIN: Final = "the plugin"
BOTH: Final = "the plugin, and the program from a spec"

FILLED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("App", "CallContext", "CallRef", "Candidate", "ExporterConfig", "Message"), PROGRAM),
        **dict.fromkeys(("Metrics", "ModelMetrics", "ModelTelemetry", "ProviderConfig", "Ran", "Request"), PROGRAM),
        **dict.fromkeys(("RoutingCandidate", "RunEvent", "RunMetrics", "ScorerContext", "ValidatorContext"), PROGRAM),
        **dict.fromkeys(("ArchitectureProfile", "Policy", "PolicyHierarchy", "PolicySet"), PROGRAM),
        **dict.fromkeys(("Ask", "Body", "Finding", "Launch", "Ranked", "Reply", "Score", "Skeleton", "Usage"), PLUGIN),
        **dict.fromkeys(("ModelInfo", "Price", "Rate", "Usd"), BOTH),
        **dict.fromkeys(("BatchOrder", "BatchRequest", "Fleet"), PROGRAM),
        **dict.fromkeys(("Allowance", "Allowances", "FleetWorker"), PLUGIN),
        "BatchResults": PLUGIN,
        "RunOptions": PLUGIN,
        "Job": PROGRAM,
        "LevelProbe": "the package that brings the sandbox",
    }
)
"""Who makes the objects of each class with fields."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Providers": (
            *("Provider", "ProviderConfig", "Request", "Message", "CallRef", "Body", "CallContext", "Reply", "Finish"),
            *("ProviderError", "ErrorKind", "Billed", "ModelInfo", "Role", "Allowances", "Allowance"),
        ),
        "Batches": ("BatchProvider", "BatchOrder", "BatchRequest", "BatchResults"),
        "Money": ("Price", "Rate", "Usage", "Usd"),
        "Validators": ("Validator", "Candidate", "ValidatorContext", "Finding", "Verdict", "TaskType"),
        "The sandbox": (
            *("Run", "RunOptions", "Ran", "SandboxError", "find_tool", "Sandbox", "SandboxLevel", "LevelProbe", "Job"),
        ),
        "Scorers": ("Scorer", "ScorerContext", "Score"),
        "Backends": ("Backend", "RoutingCandidate", "ModelTelemetry", "Ranked"),
        "Policy loaders": ("Loader", "PolicyHierarchy", "PolicySet", "Policy", "EnforcementMode"),
        "Exporters": (
            *(
                "Exporter",
                "ExporterConfig",
                "Metrics",
                "RunMetrics",
                "ModelMetrics",
                "RunEvent",
                "to_stdout",
                "no_history",
            ),
        ),
        "Scaffolds": ("Scaffold", "App", "ArchitectureProfile", "Skeleton", "Launch", "Ask"),
        "Executors": ("Executor", "Fleet", "FleetWorker"),
        "Every plugin": ("hookimpl", "hookspec", "INTERFACE", "SpecError", "DeprecatedHook"),
    }
)
"""Every name of ``orchestrator.spi``, in the order in which it is read."""

OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Validator": "`Callable[[Candidate, ValidatorContext], Finding]`. Judges an output. Called in a thread; it may "
        "block. What it raises makes the verdict *unknown*.",
        "Scorer": "`Callable[[Candidate, ScorerContext], Score]`. Scores an output that has passed its checks. Called "
        "in a thread; it may block. Where it raises there is no score.",
        "hookimpl": "The decorator of a plugin's hook.",
        "hookspec": "The decorator of a hook's specification; plugins have no use for it.",
        "INTERFACE": "The version of this interface, as (major, minor).",
    }
)
"""What is no class and no function."""


def page() -> str:
    """The whole page."""
    head = (
        "# The types of the plugin interface\n\nWritten by `docs/spi_reference.py` from `orchestrator.spi`. "
        "*Filled by* says who makes the objects: what the program fills a plugin only reads. A field without a default "
        "has to be given. [Hooks](hooks.md) lists what each hook gets and returns."
    )
    chapters = (f"## {title}\n\n" + "\n\n".join(map(section, names)) for title, names in GROUPS.items())
    return "\n\n".join([head, *chapters]) + "\n"


def section(name: str) -> str:
    """What is to be said of one name."""
    value = getattr(spi, name)
    if name in OTHERS:
        return f"### `{name}`\n\n{OTHERS[name]}"
    about = _prose(inspect.getdoc(value) or "")
    if not isinstance(value, type):
        return f"### `{name}{_plain(str(inspect.signature(value)))}`\n\n{about}"
    parts = [f"### `{name}`", f"{about} Filled by {FILLED[name]}." if name in FILLED else about]
    rows = list(_rows(value))
    if rows:
        head = (
            "| member | value | meaning |" if issubclass(value, enum.Enum) else "| field | type | default | meaning |"
        )
        parts.append("\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows]))
    methods = list(_methods(value))
    if methods:
        parts.append("\n".join(methods))
    return "\n\n".join(parts)


def fields_of(cls: type) -> Iterator[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of every field, those of the classes above first."""
    said = _said(cls)
    if attrs.has(cls):
        for each in attrs.fields(cls):
            if each.init and not each.name.startswith("_"):
                yield each.name, _type(each.type), _default(each.default), said.get(each.name, "")
    elif hasattr(cls, "__total__"):
        for name, kind in inspect.get_annotations(cls).items():
            yield name, _type(kind), "left out", said.get(name, "")


def _rows(cls: type) -> Iterator[str]:
    if issubclass(cls, enum.Enum):
        said = _said(cls)
        yield from (f"| `{each.name}` | `{each.value}` | {said.get(each.name, '')} |" for each in cls)
        return
    for name, kind, default, meaning in fields_of(cls):
        yield f"| `{name}` | `{kind}` | {f'`{default}`' if default else ''} | {meaning} |"


def _methods(cls: type) -> Iterator[str]:
    """The methods of a protocol, and of any other class those that build or read its objects."""
    if issubclass(cls, enum.Enum | BaseException) or hasattr(cls, "__total__"):
        return
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member.fget if isinstance(member, property) else member)
        if not inspect.isfunction(function) or (name.startswith("_") and name != "__call__"):
            continue
        shown = "" if isinstance(member, property) else _plain(str(inspect.signature(function)))
        yield f"* `{name}{shown}`: {_prose(inspect.getdoc(function) or '')}"


def _said(cls: type) -> dict[str, str]:
    """What stands below each field in the source; of members of an enumeration also the comment on their line."""
    found: dict[str, str] = {}
    for above in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(above))
        except (OSError, TypeError):
            continue
        (tree,) = ast.parse(source).body
        lines = source.splitlines()
        assert isinstance(tree, ast.ClassDef)
        for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
            target = (
                node.target
                if isinstance(node, ast.AnnAssign)
                else node.targets[0]
                if isinstance(node, ast.Assign)
                else None
            )
            if isinstance(target, ast.Name):
                behind = lines[node.lineno - 1].partition("  # ")[2]
                text = (
                    after.value.value
                    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    else behind
                )
                found[target.id] = _prose(str(text)) or found.get(target.id, "")
    return found


def _type(kind: Any) -> str:
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", "") if isinstance(kind, type) else str(kind)
    if isinstance(kind, type) and getattr(kind, "__args__", None):
        text = str(kind)
    return _plain(text).replace("|", "\\|")


def _default(value: Any) -> str:
    if value is attrs.NOTHING:
        return ""
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        made = value.factory() if not value.takes_self else "…"
        return repr(made)
    return getattr(value, "__name__", repr(value)) if callable(value) else _plain(repr(value))


def _plain(text: str) -> str:
    """The text without the modules its names come from."""
    text = re.sub(r"<(\w+)\.(\w+): [^>]*>", r"\1.\2", text)
    return re.sub(r"\b(orchestrator(\.[a-z_]+)+|collections\.abc|typing)\.|'", "", text)


def _prose(text: str) -> str:
    """A docstring as one paragraph."""
    text = re.sub(r"\n\n(Args|Raises|Attributes):\n", r" \1: ", text)
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write(page())

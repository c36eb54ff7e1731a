"""Write what the pages say of every kind of plugin, from the table of kinds and the templates.

Run: ``python docs/kinds.py``. It replaces what stands between the marks ``<!-- kinds: … -->`` and ``<!-- end -->``.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from orchestrator.cli.templates import distribution_files, template
from orchestrator.plugin_kinds import KINDS, PluginKind
from orchestrator.spi import hookspecs
from orchestrator.testing.contracts.base import PluginContract

DOCS: Final = Path(__file__).parent
PAGES: Final = ("plugin-guide.md", "plugins.md")


def tutorials() -> str:
    """A chapter for each kind: what its template's folder says, and what ``plugins new`` writes."""
    return "\n".join(_tutorial(kind) for kind in KINDS.values())


def _tutorial(kind: PluginKind) -> str:
    files = distribution_files(kind.name, kind.example, kind.group)
    module = f"orchestrator_{kind.example}.py"
    return "\n".join(
        [
            template(f"{kind.name}/about.md"),
            f"`orchestrate plugins new {kind.name} {kind.example}` writes `{module}`:\n",
            f"```python\n{files[module]}```\n",
            "and `tests/test_contract.py`:\n",
            f"```python\n{files['tests/test_contract.py']}```\n",
        ]
    )


def groups() -> str:
    """A table of kinds, groups and hooks."""
    rows = [f"| `{kind.name}` | `{kind.group}` | {_hook(kind)} |" for kind in KINDS.values()]
    return "\n".join(["| kind | group | hook, one per module | what it does |", "|---|---|---|---|", *rows]) + "\n"


def _hook(kind: PluginKind) -> str:
    hook = getattr(hookspecs, kind.hook)
    first = " ".join(inspect.cleandoc(hook.__doc__ or "").partition("\n\n")[0].split())
    return f"`{kind.hook}({', '.join(inspect.signature(hook).parameters)})` | {first.partition('. ')[0].rstrip('.')}"


def suites() -> str:
    """A table of contract suites and what they may be given."""
    rows = ["| kind | suite | optional attributes |", "|---|---|---|"]
    for kind in KINDS.values():
        suite = kind.load_suite()
        given = ", ".join(f"`{name}`" for name in _attributes(kind, suite))
        rows.append(f"| {kind.name.replace('_', ' ')} | `{suite.__name__}` | {given} |")
    return "\n".join(rows) + "\n"


def _attributes(kind: PluginKind, suite: type[PluginContract]) -> list[str]:
    common = inspect.get_annotations(PluginContract)
    parts = reversed([each for each in suite.__mro__ if issubclass(each, PluginContract)])
    own = [name for part in parts for name in inspect.get_annotations(part) if name[0] != "_" and name not in common]
    return ["options", *own] if inspect.signature(getattr(hookspecs, kind.hook)).parameters else own


PARTS: Final[Mapping[str, Callable[[], str]]] = {"tutorials": tutorials, "groups": groups, "suites": suites}


def written(page: str) -> str:
    """A page with its parts as they should be."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}\n{PARTS[found[2]]()}{found[3]}"

    return re.sub(r"(<!-- kinds: (\w+) -->\n).*?(\n<!-- end -->)", part, page, flags=re.DOTALL)


if __name__ == "__main__":
    for name in PAGES:
        file = DOCS / name
        file.write_text(written(file.read_text()))

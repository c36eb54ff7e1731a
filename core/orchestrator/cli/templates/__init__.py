"""The files of a new plugin's distribution, from the text files beside this module.

``__NAME__`` stands for its name, ``__CLASS__`` for that of its class. ``common`` has what every distribution has; a
kind's folder has its module, its test, how it is used, and what the guide says of it.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_COMMON: Final = {
    "pyproject.toml": "common/pyproject.toml.txt",
    "README.md": "common/README.md",
    "AGENTS.md": "common/AGENTS.md",
    "LICENSE": "common/LICENSE.txt",
    ".github/workflows/tests.yml": "common/tests.yml",
    ".gitignore": "common/gitignore.txt",
}
"""The files of every distribution, and where their texts are."""
_IMPORTS: Final = {"command": "what else of `orchestrator` a command may import stands above"}
"""What a kind may import beside the interface."""


def distribution_files(kind: str, name: str, group: str, version: str = "0.1.0") -> dict[str, str]:
    """The files of a new distribution, by their paths.

    Args:
        kind: one of ``orchestrator.plugin_kinds.KINDS``.
        name: lower-case words with an underscore between them.
        group: the entry-point group of the kind.
        version: of the program: the oldest that the plugin asks for.
    """
    meanings = {
        "__USE__\n": template(f"{kind}/use.md"),
        "__ABOUT__\n": template(f"{kind}/about.md").partition("\n\n")[2],
        "__MORE__": _IMPORTS.get(kind, "from nothing else in `orchestrator`"),
        "__VERSION__": version,
        "__DIST__": distribution_name(name),
        "__MODULE__": f"orchestrator_{name}",
        "__CLASS__": "".join(part.capitalize() for part in name.split("_")),
        "__GROUP__": group,
        "__KIND__": kind.replace("_", " "),
        "__UPPER__": name.upper(),
        "__NAME__": name,
    }
    texts = {path: template(where) for path, where in _COMMON.items()}
    texts[f"orchestrator_{name}.py"] = template(f"{kind}/module.py.txt")
    texts["tests/test_contract.py"] = template(f"{kind}/test_contract.py.txt")
    return {path: _filled(text, meanings) for path, text in texts.items()}


def template(path: str) -> str:
    """A text file beside this module."""
    return files(__package__).joinpath(path).read_text(encoding="utf-8")


def distribution_name(name: str) -> str:
    """What the distribution of a plugin is called."""
    return f"orchestrator-{name.replace('_', '-')}"


def _filled(text: str, meanings: Mapping[str, str]) -> str:
    for word, meaning in meanings.items():
        text = text.replace(word, meaning)
    return text

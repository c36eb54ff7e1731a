"""A library: a package to import."""

from orchestrator.spi import Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

SCAFFOLD = Fixed(
    files={"$name/__init__.py": '"""$title"""\n', "$name/py.typed": ""},
    guidance=(
        "A Python library: the package `$name`, with type hints and docstrings; `$name/__init__.py` names what is "
        "public. Tests are in `tests/` and import from `$name`."
    ),
    launches=(Launch(("python", "-c", "import $name")),),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD

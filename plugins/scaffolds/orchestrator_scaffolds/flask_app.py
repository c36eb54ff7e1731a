"""Flask: a package with an application factory."""

from orchestrator.spi import Ask, Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_INIT = '''"""$title"""

from flask import Flask


def create_app() -> Flask:
    """Build the application."""
    app = Flask(__name__)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Say that the application is up."""
        return {"status": "ok"}

    return app
'''

_TEST = '''"""The application answers."""

from $name import create_app


def test_the_application_can_be_asked() -> None:
    """A request gets an answer that is no error of the server."""
    assert create_app().test_client().get("/").status_code < 500
'''

SCAFFOLD = Fixed(
    files={"$name/__init__.py": _INIT, "tests/test_application.py": _TEST},
    guidance=(
        "A Flask application in the package `$name`. `$name/__init__.py` defines `create_app()`, which registers "
        "the blueprints; views, models and services are modules of the package, templates are in "
        "`$name/templates/`; tests are in `tests/` and use `create_app().test_client()`. The application starts "
        "without any service."
    ),
    dependencies=("flask",),
    launches=(
        Launch(
            ("python", "-m", "flask", "--app", "$name", "run", "--host", "127.0.0.1", "--port", "8000"),
            port=8000,
            asks=(Ask("/", 500),),
            modules=("flask",),
        ),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD

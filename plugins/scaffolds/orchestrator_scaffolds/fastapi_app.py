"""FastAPI: a package with an ``app``, its routes in modules of their own."""

from orchestrator.spi import Ask, Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_MAIN = '''"""$title"""

from fastapi import FastAPI

app = FastAPI(title="$title")


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the application is up."""
    return {"status": "ok"}
'''

_TEST = '''"""The application answers."""

from fastapi.testclient import TestClient

from $name.main import app


def test_the_application_is_described() -> None:
    """Its OpenAPI document can be had."""
    assert TestClient(app).get("/openapi.json").status_code == 200
'''

SCAFFOLD = Fixed(
    files={"$name/__init__.py": "", "$name/main.py": _MAIN, "tests/test_application.py": _TEST},
    guidance=(
        "A FastAPI application in the package `$name`. `$name/main.py` defines `app = FastAPI(…)` and includes "
        "the routers; routes, models, services and storage are modules of the package; tests are in `tests/`, use "
        "`fastapi.testclient.TestClient` and need no running server. Import as `from $name.module import …`. Data "
        "that must last is kept where an environment variable says, else in memory, so that the application "
        "starts without any service."
    ),
    dependencies=("fastapi", "uvicorn", "httpx"),
    launches=(
        Launch(
            ("python", "-m", "uvicorn", "$name.main:app", "--host", "127.0.0.1", "--port", "8000"),
            port=8000,
            asks=(Ask("/openapi.json", 400), Ask("/docs", 400)),
            modules=("fastapi", "uvicorn"),
        ),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD

"""What an application imports, and where that is written down."""

import json
import tomllib

import pytest

from orchestrator_apps.application import name_of
from orchestrator_apps.imports import python_imports, script_imports
from orchestrator_apps.manifests import distribution_of, python_manifest, script_manifest


def test_python_imports_are_the_packages_own_a_foreign_one_or_a_problem() -> None:
    """Local modules in every spelling, the standard library, guarded imports, and what is missing."""
    files = {
        "shop/__init__.py": "",
        "shop/models.py": "from __future__ import annotations\nimport os.path, yaml\nfrom . import prices\n",
        "shop/prices.py": "from .models import Item\nfrom ..other import x\nimport shop.models\n",
        "shop/api/routes.py": "from ..models import Item\nfrom ...shop import models\nfrom shop.missing import y\n",
        "src/tool/__init__.py": "from tool import main\nimport tool.main\n",
        "src/tool/main.py": "try:\n    import ujson as json\nexcept ImportError:\n    import json\nimport requests\n",
        "bad.py": "def (:\n",
    }
    found = python_imports(files)
    assert found.packages == ("requests", "yaml")
    assert [problem.partition(":")[0] for problem in found.problems] == ["shop/api/routes.py", "bad.py"]
    assert "imports shop.missing, which no file defines" in found.problems[0]


def test_script_imports_are_files_packages_or_a_problem() -> None:
    """Relative files with or without ending, scoped packages, Node's own modules, and what is missing."""
    files = {
        "src/App.tsx": (
            "import React, { useState } from 'react';\nimport './App.css';\nimport { a } from \"./lib\";\n"
            "import type { T } from '@scope/pkg/types';\nexport { b } from './gone';\nconst fs = require('node:fs');\n"
            "import path from 'path';\nconst lazy = () => import('chart.js/auto');\n"
        ),
        "src/App.css": "",
        "src/lib/index.ts": "import '../App';\n",
    }
    found = script_imports(files)
    assert found.packages == ("@scope/pkg", "chart.js", "react")
    assert found.problems == ("src/App.tsx: imports ./gone, which no file is",)


def test_pyproject_names_what_is_imported() -> None:
    """Modules become distributions; what only tests need is an extra; a command gets its script."""
    files = {"greeter/__init__.py": "", "greeter/cli.py": "", "tests/test_cli.py": ""}
    made = python_manifest(files, "greeter", 'Says "hello"', ("httpx",), ("yaml", "jwt"))
    project = tomllib.loads(made.files["pyproject.toml"])
    assert project["project"]["dependencies"] == ["PyJWT", "PyYAML"]
    assert project["project"]["optional-dependencies"]["test"] == ["httpx", "pytest"]
    assert project["project"]["scripts"] == {"greeter": "greeter.cli:main"}
    assert project["project"]["description"] == 'Says "hello"'
    assert project["tool"]["setuptools"]["packages"] == ["greeter"]
    assert distribution_of("unheard_of", {}) == "unheard_of"


def test_a_manifest_of_a_tasks_own_stays_and_is_checked() -> None:
    """What it lacks is named; package.json is completed and keeps what it says."""
    given = {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["py_yaml>=6", "PyYAML"]\n'}
    made = python_manifest(given, "x", "x", (), ("yaml", "requests"))
    assert made.files == {}
    assert made.problems == ("pyproject.toml: requests is imported, and not among the dependencies",)
    assert python_manifest({"pyproject.toml": "= ="}, "x", "x", (), ()).problems[0].startswith("pyproject.toml: it can")
    package = script_manifest(
        {"package.json": '{"name": "mine", "dependencies": {"react": "18"}}'}, "x", "x", ("react",), ("zod",)
    )
    manifest = json.loads(package.files["package.json"])
    assert (manifest["name"], manifest["dependencies"]) == ("mine", {"react": "18", "zod": "*"})
    assert script_manifest({"package.json": "["}, "x", "x", (), ()).problems[0].startswith("package.json: it cannot")
    assert script_manifest({"package.json": "[]"}, "x", "x", (), ()).problems == ("package.json: it is not a manifest",)


POETRY = """
[tool.poetry]
name = "x"
[tool.poetry.dependencies]
python = "^3.11"
py-yaml = "^6"
PyYAML = {version = "^6", extras = ["c"]}
[tool.poetry.group.web.dependencies]
Flask = "*"
[tool.poetry.dev-dependencies]
sqlalchemy = "^2"
"""
DYNAMIC = '[project]\nname = "x"\nversion = "1"\ndynamic = ["dependencies"]\n'
SETUPTOOLS = '[tool.setuptools.dynamic]\ndependencies = {file = ["needs/base.txt"]}\n'
HATCH = '[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ["needs/base.txt"]\n'
LISTS = {
    "needs/base.txt": "# ours\n-r web.txt\nPyYAML>=6 ; python_version > '3.8'  # config\n--no-index\n-e .\n",
    "needs/web.txt": "-r base.txt\nflask[async]==3 \\\n  --hash=sha256:00\n-e git+https://example.org/s.git#egg=SQLAlchemy\n",
}
USUAL = {"requirements.txt": "pyyaml\nFlask @ https://example.org/flask.whl\nsqlalchemy~=2.0\n"}
GROUPS = '[project]\nname = "x"\ndependencies = ["pyyaml"]\noptional-dependencies = {web = ["Flask>3"]}\n'


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": POETRY},
        {"pyproject.toml": DYNAMIC + SETUPTOOLS, **LISTS},
        {"pyproject.toml": DYNAMIC + SETUPTOOLS.replace('["needs/base.txt"]', '"./needs/base.txt"'), **LISTS},
        {"pyproject.toml": DYNAMIC + HATCH, **LISTS},
        {"pyproject.toml": DYNAMIC, **USUAL},
        {"pyproject.toml": DYNAMIC + POETRY},
        {"pyproject.toml": "[tool.ruff]\nline-length = 100\n", **USUAL},
        {"pyproject.toml": GROUPS + '[dependency-groups]\ndb = ["sqlalchemy", {include-group = "web"}]\n'},
    ],
)
def test_a_manifest_is_read_in_its_own_dialect(files: dict[str, str]) -> None:
    """Poetry's tables, dynamic lists for setuptools or Hatch, plain lists and groups: what is there is not lacking."""
    made = python_manifest(files, "x", "x", (), ("yaml", "flask", "sqlalchemy", "requests"))
    assert made.problems == ("pyproject.toml: requests is imported, and not among the dependencies",)
    assert made.files == {}


def test_dependencies_that_a_program_computes_are_not_judged() -> None:
    """A dynamic list that cannot be read without building is no problem; one that is named and missing is."""
    assert python_manifest({"pyproject.toml": DYNAMIC}, "x", "x", (), ("yaml",)).problems == ()
    (problem,) = python_manifest({"pyproject.toml": DYNAMIC + SETUPTOOLS}, "x", "x", (), ("yaml",)).problems
    assert problem == "pyproject.toml: its dependencies are in needs/base.txt, which no file is"
    for wrong in ("project = 1", "[project]\ndependencies = 1", "[tool]\npoetry = []", "[project]\ndynamic = {}"):
        (problem,) = python_manifest({"pyproject.toml": wrong}, "x", "x", (), ("yaml",)).problems
        assert problem.startswith("pyproject.toml: it cannot be read: ")


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("Build a FastAPI REST API with JWT", "fastapi_rest_api"),
        ("Notes", "notes"),
        ("Create the json", "json_app"),
        ("Ein Rechner für Öl", "ein_rechner_fur"),
        ("Grüße: Straße & Café", "grusse_strasse_cafe"),
        ("Class", "class_app"),
        ("日本語", "application"),
        ("…", "application"),
        ("9 lives of a cat", "lives_cat"),
    ],
)
def test_a_package_is_named_for_its_description(description: str, name: str) -> None:
    """An identifier of the first words that matter, which shadows no module that is known."""
    assert name_of(description) == name
    assert name.isidentifier()


def test_the_manifest_names_packages_inside_packages() -> None:
    """What is installed is whole: inner packages are packages too, and a ``src`` folder is where they lie."""
    files = dict.fromkeys(("shop/__init__.py", "shop/api/__init__.py", "tests/__init__.py"), "")
    made = tomllib.loads(python_manifest(files, "shop", "A shop", (), ()).files["pyproject.toml"])
    assert made["tool"]["setuptools"] == {"packages": ["shop", "shop.api"]}
    files = dict.fromkeys(("src/shop/__init__.py", "src/shop/api/__init__.py", "src/main.py"), "")
    made = tomllib.loads(python_manifest(files, "shop", "A shop", (), ()).files["pyproject.toml"])
    assert made["tool"]["setuptools"] == {"packages": ["shop", "shop.api"], "package-dir": {"": "src"}}


@pytest.mark.parametrize("source", ["-" * 100_000 + "1", "not " * 50_000 + "1", "(" * 5_000, "f" + "()" * 100_000])
def test_code_nested_beyond_the_parser_is_a_problem(source: str) -> None:
    """Whatever the parser gives up with, it is one line about that file."""
    found = python_imports({"deep.py": source, "fine.py": "import requests\n"})
    assert found.packages == ("requests",)
    assert [problem.partition(":")[0] for problem in found.problems] == ["deep.py"]


def test_manifests_nested_beyond_the_parser_are_a_problem() -> None:
    """An unreadable manifest of a task's own is named, in both languages."""
    deep = "[" * 100_000
    (problem,) = python_manifest({"pyproject.toml": f"a = {deep}"}, "n", "t", (), ()).problems
    assert problem.startswith("pyproject.toml: it cannot be read")
    (problem,) = script_manifest({"package.json": f'{{"a": {deep}'}, "n", "t", (), ()).problems
    assert problem.startswith("package.json: it cannot be read")


def test_words_that_begin_an_import_over_and_over_are_read_once() -> None:
    """The time is linear in the size: what took a minute per hundred kilobytes would never end here."""
    content = "import " * 150_000 + "x from 'late';\nimport y from 'later';\n"
    assert script_imports({"a.js": content}).packages == ("late", "later")


def test_what_the_parser_warns_of_is_no_problem() -> None:
    """An odd escape sequence in generated code is neither an error nor a line on the terminal."""
    assert python_imports({"a.py": "import requests\nx = '\\d'\n"}).packages == ("requests",)

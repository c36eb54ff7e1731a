"""Where the outputs of several tasks go: no two of them in one file, whatever their names are."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import ANSWERS, MODELS, orchestrate


def code(*names: str) -> str:
    """An answer with some files, each of which holds its name."""
    return "".join(f"```python {name}\nname = {name!r}\n```\n" for name in names)


def ran(folder: Path, paths: list[str], texts: list[str]) -> dict[str, str]:
    """The files of a run whose plan, a model's, gives its tasks these paths, and whose answers these are."""
    plan = [
        {
            "id": str(number),
            "type": "code_generation",
            "prompt": "Write it.",
            "path": path,
            "dependencies": ["1"][: number - 1],
        }
        for number, path in enumerate(paths, 1)
    ]
    answers: list[dict[str, Any]] = [
        *ANSWERS,
        {"role": "decomposer", "text": json.dumps({"tasks": plan})},
        *(
            {"task": f"task_{number:03d}", "role": role, "text": text}
            for number, text in enumerate(texts, 1)
            for role in ("generator", "reviser")
        ),
    ]
    (folder / "answers.json").write_text(json.dumps({"models": MODELS, "answers": answers}))
    spec = {"project": "P", "criteria": "c", "providers": {"scripted": {"answers": "answers.json"}}, "project_id": "p"}
    (folder / "spec.json").write_text(json.dumps(spec))
    ended = orchestrate(folder / "home", "run", str(folder / "spec.json"), "-o", str(folder / "out"))
    assert ended.code == 0, ended.err
    assert orchestrate(folder / "home", "runs", "export", "p", "-o", str(folder / "again")).code == 0
    summary = json.loads((folder / "out" / "summary.json").read_text())
    written, again = (_files(folder / name) for name in ("out", "again"))
    assert written == again
    assert set(written) == {name for task in summary["tasks"] for name in task["files"]}
    return written


def _files(folder: Path) -> dict[str, str]:
    own = {".orchestrate-run", "README.md", "summary.json"}
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return {path: (folder / path).read_text().strip() for path in paths if path not in own}


@pytest.mark.parametrize(
    ("paths", "texts", "files"),
    [
        (  # the plan gives a name in two spellings: the first has it
            ["src/App.py", "src/app.py"],
            [code("App.py"), code("app.py")],
            {"src/App.py": "App.py", "task_002_code_generation.py": "app.py"},
        ),
        (  # one answer brings what the plan gives to another task, in whatever case
            ["pkg/a.py", "pkg/b.py"],
            [code("a.py", "B.py"), code("b.py")],
            {"pkg/a.py": "a.py", "task_001_code_generation/pkg/B.py": "B.py", "pkg/b.py": "b.py"},
        ),
        (  # two answers bring the same: the first in the execution order has it
            ["pkg/a.py", "pkg/b.py", "pkg/"],
            [code("a.py", "__init__.py"), code("b.py", "__Init__.py"), code("c.py", "__init__.py")],
            {
                "pkg/a.py": "a.py",
                "pkg/__init__.py": "__init__.py",
                "pkg/b.py": "b.py",
                "task_002_code_generation/pkg/__Init__.py": "__Init__.py",
                "pkg/c.py": "c.py",
                "task_003_code_generation/pkg/__init__.py": "__init__.py",
            },
        ),
        (["x.py", "x.py"], [code("first.py"), code("second.py")], {"x.py": "second.py"}),  # one file, revised
    ],
)
def test_no_output_takes_the_place_of_anothers(
    tmp_path: Path, paths: list[str], texts: list[str], files: dict[str, str]
) -> None:
    """What is another task's name goes into its own task's folder; the folder, its table and an export agree."""
    assert ran(tmp_path, paths, texts) == {name: f"name = {content!r}" for name, content in files.items()}

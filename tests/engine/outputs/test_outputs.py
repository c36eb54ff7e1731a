import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.allowed_file_names import UnsafeNameError, checked_name, read_file
from orchestrator.engine.answers.blocks_as_files import content_of
from orchestrator.engine.outputs.files_in_answer import output_files, render
from orchestrator.engine.outputs.folder_writing import LARGEST_FILE, OutputFolder
from orchestrator.errors import OutputError
from orchestrator.models import TaskType

CODE = TaskType.CODE_GEN

PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "", "~", "~root", ".git", ".GIT", "hooks", "con", "NUL.txt", "a", "b.py", "link", "-rf"]
    ),
    st.text(max_size=8),
    st.text(alphabet="./\\~ \x00\n:a", max_size=6),
    st.integers(190, 300).map(lambda n: "x" * n),
)
NAMES = st.builds(
    lambda parts, slash: slash + "/".join(parts), st.lists(PARTS, max_size=25), st.sampled_from(["", "/"])
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(an output folder that holds a link out of itself, the folder around it)."""
    around = tmp_path_factory.mktemp("around")
    (around / "victim").mkdir()
    (around / "victim" / "b.py").write_text("mine")
    inside = around / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(around / "victim")
    return inside, around


def _outside(around: Path) -> list[tuple[str, float]]:
    """What lies in the folder around, but for the output folder."""
    found = [path for path in around.rglob("*") if not path.is_relative_to(around / "inside")]
    return sorted((str(path), path.lstat().st_mtime) for path in found)


@given(NAMES)
@example("link/b.py")
@example("a/../../victim/b.py")
def test_no_name_leads_out_of_the_folder(places: tuple[Path, Path], name: str) -> None:
    """A name is refused, or its file lies inside; nothing around the folder changes, links in it included."""
    _write_and_look(places, name)


@pytest.mark.heavy
@settings(max_examples=10_000)
@given(NAMES)
def test_none_of_ten_thousand_names_leads_out(places: tuple[Path, Path], name: str) -> None:
    """The same for ten thousand names."""
    _write_and_look(places, name)


def _write_and_look(places: tuple[Path, Path], name: str) -> None:
    inside, around = places
    before = _outside(around)
    folder = OutputFolder(inside, "run", force=True)
    try:
        folder.write(name, "x")
    except (UnsafeNameError, OSError):
        pass
    else:
        real = (inside / name).resolve(strict=True)
        assert real.is_relative_to(inside.resolve())
        assert real.read_text() == "x"
        assert not {part.casefold() for part in real.relative_to(inside.resolve()).parts} & {".git", ".ssh"}
    assert _outside(around) == before


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../x",
        "/etc/passwd",
        "~/x",
        "a/~x",
        "a\\b",
        "a\x00b",
        "a\nb",
        "\x1b[31mred",
        "con",
        "NUL.txt",
        "a/com1.py",
        ".git/hooks/pre-commit",
        "a/.GIT/config",
        ".ssh/id",
        "x" * 201,
        "/".join("a" * 30),
        "a//b",
        "a/",
        "",
        ".",
        "a.",
        "a ",
        "-rf",
        "a:b",
        "\u202etxt.py",
        "\ud800",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    """Climbing, absolute, home, other systems' separators and devices, control characters, tools' own, too long."""
    with pytest.raises(UnsafeNameError):
        checked_name(name)


@pytest.mark.parametrize("name", ["a.py", "src/app/main.py", "Dockerfile", ".env.example", "ünï.md", "a b.txt"])
def test_names_that_are_allowed(name: str) -> None:
    """Ordinary relative names pass."""
    assert checked_name(name) == name


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    """What the link points at stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = OutputFolder(tmp_path / "out", "run")
    (folder.path / "a.py").symlink_to(victim)
    (folder.path / ".b.py.part").symlink_to(victim)
    folder.write("a.py", "new")
    folder.write("b.py", "new")
    assert victim.read_text() == "mine"
    assert (folder.path / "a.py").read_text() == (folder.path / "b.py").read_text() == "new"
    assert not (folder.path / "a.py").is_symlink()


def test_a_linked_folder_on_the_way_is_not_followed(tmp_path: Path) -> None:
    """Writing below a link is refused by the system, and nothing is written."""
    (tmp_path / "victim").mkdir()
    folder = OutputFolder(tmp_path / "out", "run")
    (folder.path / "sub").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        folder.write("sub/a.py", "x")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_file_that_is_too_large_is_not_written(tmp_path: Path) -> None:
    """Beyond the limit nothing is left behind, not even a part."""
    folder = OutputFolder(tmp_path / "out", "run")
    with pytest.raises(OSError, match="large"):
        folder.write("a.txt", "x" * (LARGEST_FILE + 1))
    assert [path.name for path in folder.path.iterdir()] == [".orchestrate-run"]


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not empty and not of this run is left alone, unless forced."""
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        OutputFolder(tmp_path, "run")
    OutputFolder(tmp_path, "run", force=True)
    OutputFolder(tmp_path, "run")
    with pytest.raises(OutputError, match="belongs to run"):
        OutputFolder(tmp_path, "other")


def test_a_folder_that_a_killed_start_left_half_marked_is_taken(tmp_path: Path) -> None:
    """A process that died while it wrote the mark leaves its unfinished file; the folder is as good as empty."""
    (tmp_path / "..orchestrate-run.part").write_text("ru")
    OutputFolder(tmp_path, "run")
    with pytest.raises(OutputError, match="belongs to run run"):
        OutputFolder(tmp_path, "another")


def test_reading_takes_regular_files_only(tmp_path: Path) -> None:
    """Links, folders, pipes and what is too large are as if they were not there."""
    (tmp_path / "plain").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("plain")
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path, "plain", 5) == b"12345"
    assert [read_file(tmp_path, name, 5) for name in ("link", "pipe", ".", "none") if name != "."] == [None] * 3
    assert read_file(tmp_path, "plain", 4) is None


# ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────────

TWO = "Two files.\n\n```python app/main.py\nimport app.tools\n```\n\n**`app/tools.py`**\n\n```python\nx = 1\n```\n"


def test_code_goes_to_a_file_without_its_fence() -> None:
    """Of several blocks the longest in the task's language counts."""
    text = "Do:\n```bash\npip install a-very-long-name-of-a-package another-one\n```\n```python\nx = 1\n```\n"
    assert output_files(1, CODE, text) == {"task_001_code_generation.py": "x = 1\n"}
    assert content_of(text) == "pip install a-very-long-name-of-a-package another-one\n"


@pytest.mark.parametrize(
    ("tag", "suffix"), [("yaml", ".yaml"), ("sql", ".sql"), ("sh", ".sh"), ("", ".py"), ("py", ".py")]
)
def test_code_of_another_language_keeps_its_ending(tag: str, suffix: str) -> None:
    """The fence says which language it is; Python where it says nothing."""
    assert render(CODE, f"```{tag}\nx\n```")[0] == suffix


@pytest.mark.parametrize(
    ("answer", "name"), [('```json\n{"a":1}\n```', ".json"), ("no json", ".md"), ("[1, 2]", ".json")]
)
def test_data_is_pretty_json_or_prose(answer: str, name: str) -> None:
    """What is no JSON is kept as it came."""
    assert render(TaskType.DATA_EXTRACTION, answer)[0] == name


def test_an_answer_that_names_several_files_becomes_a_folder() -> None:
    """Names stand in the info line, above the fence or in the first comment."""
    assert output_files(2, CODE, TWO) == {
        "task_002_code_generation/app/main.py": "import app.tools\n",
        "task_002_code_generation/app/tools.py": "x = 1\n",
    }
    first = "```python\n# a.py\nx = 1\n```\n```python\n# b.py\ny = 1\n```"
    assert set(output_files(2, CODE, first)) == {"task_002_code_generation/a.py", "task_002_code_generation/b.py"}


def test_files_with_unsafe_names_are_kept_under_safe_ones() -> None:
    """A model that names a hook or a parent folder gets a file of another name."""
    text = "```sh .git/hooks/pre-commit.sh\nrm -rf /\n```\n```python ../../x.py\nx\n```\n```python a.py\ny\n```\n"
    assert set(output_files(1, CODE, text)) == {
        "task_001_code_generation/unnamed_1.sh",
        "task_001_code_generation/unnamed_2.py",
        "task_001_code_generation/a.py",
    }


def test_the_user_says_where_an_output_goes() -> None:
    """A path is the file's name, or the folder's; one that leads out, or to the run's own files, does not count."""
    assert set(output_files(1, CODE, "x", "src/calc.py")) == {"src/calc.py"}
    assert set(output_files(1, CODE, "x", "src/")) == {"src/task_001_code_generation.py"}
    assert set(output_files(2, CODE, TWO, "lib")) == {"lib/app/main.py", "lib/app/tools.py"}
    assert set(output_files(2, CODE, TWO, "lib.old/")) == {"lib.old/app/main.py", "lib.old/app/tools.py"}
    for path in ("../x.py", "/x.py", "summary.json", "README.md", ".orchestrate-run"):
        assert set(output_files(1, CODE, "x", path)) == {"task_001_code_generation.py"}


@pytest.mark.parametrize(
    ("path", "named", "placed"),
    [
        (
            "app/main.py",
            ["app/main.py", "app/tools.py", "tests/test_a.py"],
            ["app/main.py", "app/tools.py", "tests/test_a.py"],
        ),
        ("app/main.py", ["tools.py", "main.py"], ["app/main.py", "app/tools.py"]),
        ("main.py", ["src/x/main.py", "src/x/tools.py", "a/b.py"], ["main.py", "tools.py", "a/b.py"]),
        ("app/main.py", ["pkg/main.py", "pkg/in/tools.py"], ["app/main.py", "app/in/tools.py"]),
        ("app/cli.py", ["notes.md", "run.py", "other.py"], ["app/cli.py", "app/notes.md", "app/other.py"]),
        ("Dockerfile", ["Dockerfile", "app.py"], ["Dockerfile", "app.py"]),
        ("x.py", ["f0.py", "f1.py"], ["x.py", "f1.py"]),
        ("x.py", ["x.py", "README.md"], ["x.py", "task_003_code_generation/README.md"]),
        ("x.py", ["a/x.py", "X.py"], ["x.py", "task_003_code_generation/X.py"]),
    ],
)
def test_a_path_that_is_a_files_name_is_that_of_one_file(path: str, named: list[str], placed: list[str]) -> None:
    """Of an answer with several files the one that suits it gets the path, the others lie beside it as they did."""
    text = "".join(f"```text {name}\n{name}\n```\n" for name in named)
    found = output_files(3, CODE, text, path)
    assert next(iter(found)) == path, "the main one comes first"
    assert set(found) == set(placed)
    assert sorted(content.strip() for content in found.values()) == sorted(named), "nothing is lost"


def test_names_that_differ_by_case_alone_are_told_apart() -> None:
    """The first keeps its name, the other gets one that no system takes for the same; so does a folder's name."""
    text = "".join(f"```python {name}\n{name}\n```\n" for name in ("App.py", "app.py", "lib.py", "lib.py/a.py"))
    assert output_files(1, CODE, text, "src/") == {
        "src/App.py": "App.py\n",
        "src/unnamed_2.py": "app.py\n",
        "src/unnamed_3.py": "lib.py\n",
        "src/lib.py/a.py": "lib.py/a.py\n",
    }


@settings(max_examples=300)
@given(st.text(alphabet="`~a./\n# py:*", max_size=200), st.sampled_from(list(TaskType)))
def test_whatever_the_answer_is_its_names_are_safe(text: str, kind: TaskType) -> None:
    """Every answer gives at least one file, and every name of it can be written."""
    files = output_files(1, kind, text)
    assert files
    assert [name for name in files if checked_name(name) != name] == []

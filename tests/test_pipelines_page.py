"""docs/pipelines.md and examples/ci say what is true: their commands are run as they stand."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cli.command import ROOT, orchestrate
from tests.pages import page, run_all

CI = ROOT / "examples" / "ci"
QUICKSTART = ROOT / "examples" / "quickstart"
FILES = {"spec.yaml": QUICKSTART / "spec.yaml", "answers.yaml": QUICKSTART / "answers.yaml"}
USER = 10001


def read(name: str) -> Any:
    """A YAML file of the examples."""
    return YAML(typ="safe").load((CI / name).read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with a spec and a policy file."""
    for name, path in FILES.items():
        shutil.copy(path, tmp_path / name)
    (tmp_path / "policies.yaml").write_text("global:\n  - {name: house, max_cost_per_task_usd: 1}\n")
    return tmp_path


def commands(lines: Iterator[str]) -> Iterator[list[str]]:
    """The words of every call of the program."""
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part)
            if words[:1] == ["orchestrate"]:
                yield words[1:]


def test_the_page_is_true(folder: Path) -> None:
    """Its commands print what it shows, and the file is there."""
    assert run_all(page("pipelines.md"), folder, {}) == 1
    assert (folder / "junit.xml").exists()


def test_every_file_is_on_the_page() -> None:
    """And every file that the page names is there."""
    named = set(re.findall(r"examples/ci/([A-Za-z.-]+)`", page("pipelines.md")))
    assert named == {path.name for path in CI.iterdir()}


@pytest.mark.parametrize("name", ["github-actions.yaml", "gitlab-ci.yaml"])
def test_the_commands_of_a_server_work(name: str, folder: Path) -> None:
    """They check, run and leave JUnit XML and the results where the server takes them."""
    document = read(name)
    if "jobs" in document:
        steps = document["jobs"]["run"]["steps"]
        lines = [step["run"] for step in steps if "run" in step]
        kept = next(step["with"]["path"].split() for step in steps if "upload-artifact" in step.get("uses", ""))
    else:
        lines = [line for job in ("check", "run") for line in document[job]["script"]]
        artifacts = document["run"]["artifacts"]
        kept = [*artifacts["paths"], artifacts["reports"]["junit"]]
    found = list(commands(iter(lines)))
    assert [words[0] for words in found] == ["spec", "policy", "run"]
    for words in found:
        words = [each for each in words if not each.startswith("--home")]
        words = [each for each in words if each != ".orchestrate"]
        ended = orchestrate(folder / ".orchestrate", *words, cwd=folder)
        assert ended.code == 0, ended.err
    assert all((folder / each).exists() for each in kept)


def test_the_hooks_of_a_commit_find_errors(folder: Path) -> None:
    """Each takes the files that it is for, and refuses one with an error."""
    (repository,) = read("pre-commit-config.yaml")["repos"]
    broken = {"spec.yaml": "project: p\ncriterai: c\n", "policies.yaml": "global:\n  - {name: x, blocked: [y]}\n"}
    for hook, (name, text) in zip(repository["hooks"], broken.items(), strict=True):
        matching = [each for each in ("spec.yaml", "policies.yaml", "README.md") if re.search(hook["files"], each)]
        assert matching == [name]
        words = shlex.split(hook["entry"])[1:]
        assert orchestrate(folder / "home", *words, name, cwd=folder).code == 0
        (folder / name).write_text(text)
        assert orchestrate(folder / "home", *words, name, cwd=folder).code == 2


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile."""
    for line in (CI / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def reachable(path: Path) -> bool:
    """Whether another user can reach a file: of an interpreter in a closed home folder none can."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def test_the_container_is_no_administrators() -> None:
    """The program runs as a numbered user, after everything that needs rights; the root can be read-only."""
    found = list(instructions())
    words = [word for word, _ in found]
    user = next(rest for word, rest in found if word == "USER")
    assert user.split(":") == [str(USER)] * 2
    assert words.index("USER") > max(number for number, word in enumerate(words) if word in ("RUN", "COPY", "ADD"))
    text = (CI / "Dockerfile").read_text(encoding="utf-8")
    for option in ("--read-only", "--cap-drop ALL", "no-new-privileges"):
        assert option in text


@pytest.mark.heavy
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="the commands of a container need its root")
def test_the_commands_of_the_container_work_without_a_daemon(folder: Path, tmp_path: Path) -> None:
    """What the build runs, runs in a folder in the root's place; then the command line of its comment, as the user."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "opt").mkdir()
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text("")
    for rest in (rest for word, rest in instructions() if word == "RUN"):
        line = re.sub(r"(?<![\w./])/(opt/orchestrate|data)\b", rf"{root}/\1", rest)
        line = line.replace("useradd", f"useradd --prefix {root}")
        line = line.replace("install --no-cache-dir /src", f"install --no-cache-dir {ROOT}")
        subprocess.run(["sh", "-euc", line.replace("python -m", f"{sys.executable} -m")], check=True, timeout=500)
    environ = {
        name: value.replace("/opt/orchestrate", f"{root}/opt/orchestrate").replace("/data", f"{root}/data")
        for word, rest in instructions()
        if word == "ENV"
        for name, value in (pair.split("=", 1) for pair in rest.split())
    }
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    text = (CI / "Dockerfile").read_text(encoding="utf-8").replace("\\\n#", "")
    shown = re.search(r"docker run .* orchestrate (run .*)", text)
    assert shown is not None
    words = [each.replace("/project", str(folder)).replace("/data", f"{root}/data") for each in shlex.split(shown[1])]
    as_user: dict[str, Any] = (
        {"user": USER, "group": USER, "extra_groups": []} if reachable(Path(sys.executable).resolve()) else {}
    )
    done = subprocess.run(
        [f"{root}/opt/orchestrate/bin/orchestrate", *words],
        env={**environ, "PATH": f"{root}/opt/orchestrate/bin:/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **as_user,
    )
    assert done.returncode == 0, done.stderr
    assert (root / "data" / "out" / "summary.json").stat().st_uid == (USER if as_user else 0)
    assert (root / "data").stat().st_uid == USER

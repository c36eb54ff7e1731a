"""What users write, and what their machines lack: one clear line each, never a traceback, and nothing is lost."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from tests.cli.command import ROOT, Ended, clean_environment, orchestrate, scripted_spec

PATIENCE: Final = 120
SECRET: Final = "sk-abc123"


def command(
    folder: Path,
    *arguments: str,
    feed: bytes = b"",
    out: Any = subprocess.PIPE,
    environ: Mapping[str, str | None] = MappingProxyType({}),
) -> Ended:
    """The command as a process of its own; a variable that is None is not set."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {**clean_environment(folder), **environ}
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=folder,
        env={name: value for name, value in given.items() if value is not None},
        input=feed,
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(ended.returncode, (ended.stdout or b"").decode(), ended.stderr.decode())


def one_line(ended: Ended, code: int, *words: str) -> None:
    """It ended so, with one line of its own that has the words."""
    assert ended.code == code, ended.err
    own = [line for line in ended.err.splitlines() if line.startswith("orchestrate: ")]
    assert len(own) == 1, ended.err
    assert "Traceback" not in ended.err + ended.out
    for word in words:
        assert word in own[0]


# ── ~ ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_home_folder_in_every_path(tmp_path: Path) -> None:
    """In ``--home``, ``ORCHESTRATE_HOME``, flags and the paths of a spec ``~`` is the home folder."""
    (tmp_path / "home").mkdir()
    policies = {"global": [{"name": "slow", "max_latency_ms": 900000}]}
    (tmp_path / "home" / "policies.json").write_text(json.dumps(policies))
    spec = scripted_spec(
        tmp_path / "home",
        output_dir="~/out",
        policy_files=["~/policies.json"],
        exporters={"json": {"path": "~/metrics.json"}},
        project_id="p",
    )
    content = json.loads(spec.read_text())
    content["providers"]["scripted"]["answers"] = "~/answers.json"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "spec.json").write_text(json.dumps(content))
    home: dict[str, str | None] = {"HOME": str(tmp_path / "home"), "ORCHESTRATE_HOME": "~/data"}
    allowed = [flag for kind in ("output", "read", "write") for flag in ("--allow", f"{kind}={tmp_path}/home/*")]
    ended = command(tmp_path / "elsewhere", "run", "spec.json", *allowed, environ=home)
    assert ended.code == 0, ended.err
    for name in ("out", "metrics.json", "data/events.db"):
        assert (tmp_path / "home" / name).exists(), name
    assert not [*(tmp_path / "elsewhere").glob("~*")]
    home["ORCHESTRATE_HOME"] = ""
    listed = command(tmp_path / "elsewhere", "runs", "list", "--home=~/data", "--json", environ=home)
    assert [each["run_id"] for each in listed.json] == ["p"]
    assert command(tmp_path / "elsewhere", "spec", "validate", "~/spec.json", environ=home).code == 0


@pytest.mark.parametrize("arguments", ["runs list --home ~nosuchuser/x", "spec validate ~nosuchuser/s"])
def test_the_home_folder_of_a_user_there_is_not(tmp_path: Path, arguments: str) -> None:
    """One line that says so."""
    one_line(command(tmp_path, *arguments.split()), 2, "there is no user 'nosuchuser'")


def test_a_file_that_begins_with_a_tilde(tmp_path: Path) -> None:
    """Such a file is that file."""
    scripted_spec(tmp_path, name="~spec.json")
    assert command(tmp_path, "spec", "validate", "~spec.json").code == 0


@pytest.mark.parametrize("option", ["answers", "exporter"])
def test_a_home_folder_there_is_not_in_a_spec(tmp_path: Path, option: str) -> None:
    """The option is named."""
    more: dict[str, Any] = {"exporters": {"json": {"path": "~nosuchuser/x"}}} if option == "exporter" else {}
    spec = scripted_spec(tmp_path, **more)
    if option == "answers":
        content = json.loads(spec.read_text())
        content["providers"]["scripted"]["answers"] = "~nosuchuser/answers.json"
        spec.write_text(json.dumps(content))
    name = "exporters.json.path" if option == "exporter" else "providers.scripted.answers"
    one_line(command(tmp_path, "run", str(spec)), 2, name, "there is no user 'nosuchuser'")


# ── no home, no working folder ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def without_entry(tmp_path: Path) -> dict[str, str | None]:
    """Variables under which the user has neither a HOME nor an entry among the users of the machine."""
    site = tmp_path / "site"
    site.mkdir()
    hidden = "import pwd\ndef gone(uid):\n    raise KeyError(uid)\npwd.getpwuid = gone\n"
    (site / "sitecustomize.py").write_text(hidden)
    unset = dict.fromkeys(("HOME", "ORCHESTRATE_HOME", "XDG_DATA_HOME"))
    return {**unset, "PYTHONPATH": str(site)}


@pytest.mark.skipif(os.name != "posix", reason="users are looked up otherwise")
def test_no_home_folder_to_expand(tmp_path: Path, without_entry: dict[str, str | None]) -> None:
    """``~`` means nothing then; one line says so, and no folder called ``~`` appears."""
    scripted_spec(tmp_path / "work")
    ended = command(tmp_path / "work", "runs", "list", "--home", "~/x", environ=without_entry)
    one_line(ended, 2, "this user has no home folder", "set HOME")
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["answers.json", "spec.json"]


@pytest.mark.skipif(os.name != "posix", reason="users are looked up otherwise")
def test_the_log_of_a_user_without_a_home_folder(tmp_path: Path, without_entry: dict[str, str | None]) -> None:
    """It lies in the working folder, where the next command finds it."""
    scripted_spec(tmp_path / "work")
    assert command(tmp_path / "work", "run", "spec.json", environ=without_entry).code == 0
    shown = command(tmp_path / "work", "runs", "show", "last", environ=without_entry)
    assert (shown.code, "SUCCESS" in shown.out) == (0, True), shown.err
    assert (tmp_path / "work" / "orchestrate-data" / "events.db").is_file()


@pytest.mark.skipif(os.name != "posix", reason="users are looked up otherwise")
def test_no_home_folder_but_a_data_folder(tmp_path: Path, without_entry: dict[str, str | None]) -> None:
    """With a data folder named, a run goes on as ever."""
    scripted_spec(tmp_path / "work")
    ended = command(tmp_path / "work", "run", "spec.json", "--home", "data", environ=without_entry)
    assert ended.code == 0, ended.err


@pytest.mark.skipif(os.name != "posix", reason="a working folder cannot be deleted")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("run {spec} --home {home}", 0),
        ("run {spec} --home {home} -o {home}/out", 0),
        ("runs list --home {home}", 0),
        ("plan {spec} --home {home}", 0),
        ("doctor --home {home}", 0),
        ("spec validate {spec}", 0),
        ("models list --home {home}", 0),
        ("run spec.json --home {home}", 2),
        ("run {spec} --home {home} -o out", 2),
        ("run {spec} --home data", 2),
        ("spec init", 2),
    ],
)
def test_a_deleted_working_folder(tmp_path: Path, arguments: str, code: int) -> None:
    """What needs it not goes on; what does ends in one line."""
    spec = scripted_spec(tmp_path / "spec")
    words = arguments.format(spec=spec, home=tmp_path / "home")
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'rmdir "{gone}" && exec {sys.executable} -m orchestrator {words}'
    environ = {**clean_environment(tmp_path), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["sh", "-c", script], cwd=gone, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    found = Ended(ended.returncode, ended.stdout, ended.stderr)
    if code:
        one_line(found, code)
    assert found.code == code, found.err
    assert "Traceback" not in found.err


# ── .env ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Vendor(http.server.BaseHTTPRequestHandler):
    """Answers every call, and keeps the keys it was called with."""

    keys: Final[list[str]] = []

    def do_POST(self) -> None:
        """Answer with a draft, or a score."""
        self.keys.append(self.headers["authorization"])
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        text = '{"score": 0.95, "reasons": "ok"}' if "evaluator" in asked else "```python\nx = 1\n```\n"
        usage = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is inherited
        """Say nothing."""


@pytest.fixture
def vendor() -> Iterator[int]:
    """The port of a vendor on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Vendor)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _Vendor.keys.clear()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeffMY_API_KEY={SECRET}\n".encode(),
        f"\ufeffMY_API_KEY={SECRET}\r\n".encode("utf-16-le"),
        f"export MY_API_KEY={SECRET}\n".encode(),
        f"export\tMY_API_KEY = {SECRET}\n".encode(),
        f'MY_API_KEY="{SECRET}" # the old one was "sk-old"\n'.encode(),
        f"MY_API_KEY='{SECRET}'\t# mine\n".encode(),
        f'MY_API_KEY="{SECRET}"#mine\n'.encode(),
        f"MY_API_KEY={SECRET}\t# mine\n".encode(),
        f"MY_API_KEY={SECRET} # mine\r\n".encode(),
        b"# caf\xe9\nMY_API_KEY=" + SECRET.encode() + b"  \n",
    ],
)
def test_a_key_in_a_dotenv_file(tmp_path: Path, vendor: int, content: bytes) -> None:
    """However an editor or a shell wrote it, the key itself is sent."""
    spec = {
        "project": "p",
        "criteria": "c",
        "review": {"cross_vendor": "off"},
        "evaluate": {"runs": 1},
        "providers": {"openai_compatible": {"base_url": f"http://127.0.0.1:{vendor}/v1", "api_key_env": "MY_API_KEY"}},
        "models": [
            {
                "id": "m1",
                "provider": "openai_compatible",
                "price": {"input": 0.3, "output": 0.5},
                "context": 128000,
                "max_output": 16384,
                "slots": ["deepseek-chat"],
            }
        ],
        "tasks": [{"id": "t1", "type": "code_generation", "prompt": "Write x."}],
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    (tmp_path / ".env").write_bytes(content)
    ended = command(tmp_path, "run", "spec.json")
    assert set(_Vendor.keys) == {f"Bearer {SECRET}"}, ended.err
    assert ended.code == 0, ended.err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="every file can be read")
def test_a_dotenv_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is said, and the command goes on without its keys."""
    (tmp_path / ".env").write_text("A_KEY=x")
    (tmp_path / ".env").chmod(0)
    ended = command(tmp_path, "doctor")
    assert ended.code == 0
    assert "no key is taken from it" in ended.err


def test_a_dotenv_file_of_another_kind(tmp_path: Path) -> None:
    """A folder of that name is none, and one that is too large is said."""
    (tmp_path / "a" / ".env").mkdir(parents=True)
    assert "no key" not in command(tmp_path / "a", "doctor").err
    (tmp_path / ".env").write_bytes(b"#" * 2_000_000)
    assert "no key is taken from it" in command(tmp_path, "doctor").err


# ── installed packages ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[console_scripts]\nx = y\xff:z\n"),
        ("entry_points.txt", b"[orchestrator.validators]\nnot an entry\n"),
        ("METADATA", b"\xff\xfe\x00Name: x\n"),
    ],
)
@pytest.mark.parametrize("arguments", ["doctor", "run spec.json"])
def test_broken_metadata_of_another_package(tmp_path: Path, file: str, content: bytes, arguments: str) -> None:
    """The package is passed over and named; everything else goes on, libraries that look at all metadata included."""
    package = tmp_path / "site" / "unrelated-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: unrelated\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[orchestrator.validators]\nacme = acme\n")
    (package / file).write_bytes(content)
    scripted_spec(tmp_path)
    ended = command(tmp_path, *arguments.split(), environ={"PYTHONPATH": str(tmp_path / "site")})
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err + ended.out
    assert ended.err.count("unrelated-1.0.dist-info cannot be read; its plugins are left out") == 1
    assert "UnicodeDecodeError" not in ended.out


# ── stdout and stdin ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize(
    "arguments",
    [
        "run spec.json --json", "run spec.json -q", "resume p --json", "runs list", "explain p --json",
        "plan spec.json", "doctor", "--version", "run --help",
    ],
)  # fmt: skip
def test_stdout_that_takes_nothing(tmp_path: Path, arguments: str) -> None:
    """The results are lost: exit 3, with one line, though the run itself went on to its end."""
    scripted_spec(tmp_path, project_id="p")
    if not arguments.startswith("run spec"):
        assert orchestrate(tmp_path, "run", "spec.json", cwd=tmp_path).code == 0
    with Path("/dev/full").open("w") as full:
        ended = command(tmp_path, *arguments.split(), out=full)
    one_line(ended, 3, "No space left on device")
    listed = command(tmp_path, "runs", "list", "--json").json
    assert [each["status"] for each in listed] == ["SUCCESS"]


@pytest.mark.parametrize("arguments", ["run - --project-id p", "plan -", "spec validate -", "plan - --json"])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_spec_on_stdin(tmp_path: Path, arguments: str, form: str) -> None:
    """It is read like a file in the working folder."""
    text = scripted_spec(tmp_path).read_text()
    (tmp_path / "spec.json").unlink()
    if form == "yaml":
        text = "# a spec\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in json.loads(text).items())
    ended = command(tmp_path, *arguments.split(), feed=b"\xef\xbb\xbf" + text.encode())
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("fed", "words"),
    [
        (b"", "<stdin>:1: the document is empty"),
        (b"project: x\n\xff", "<stdin>:2: the file is not valid UTF-8 here"),
        (b"project: x\ncriteria: c\nbudget: 1\n", "<stdin>:3: budget: unknown key"),
        (b"#" * 1_000_001, "<stdin>:1: this is larger than 1000000 bytes"),
        (b"{" * 1000, "<stdin>:1: "),
    ],
)
def test_a_bad_spec_on_stdin(tmp_path: Path, fed: bytes, words: str) -> None:
    """Its problems have their lines."""
    one_line(command(tmp_path, "run", "-", feed=fed), 2, words)


def test_a_text_that_a_comment_cuts(tmp_path: Path) -> None:
    """A hint where it may be meant otherwise, and none where it cannot."""
    spec = scripted_spec(tmp_path)
    tasks = json.loads(spec.read_text())["tasks"]
    text = (
        "project: Write a C # parser\ncriteria: 'it # works' # as ever\nbudget_usd: 2 # dollars\n"
        f"providers: {{scripted: {{answers: answers.json}}}}\ntasks: {json.dumps(tasks)} # one\n"
    )
    (tmp_path / "spec.yaml").write_text(text)
    hint = "spec.yaml:1: project ends before ' #', which begins a comment; put it in quotes if that belongs to it"
    for arguments in ("run spec.yaml", "plan spec.yaml", "spec validate spec.yaml"):
        ended = command(tmp_path, *arguments.split())
        assert ended.code == 0, ended.err
        assert ended.err.count(hint) == 1
        assert ended.err.count("begins a comment") == 1
    checked = command(tmp_path, "spec", "validate", "spec.yaml", "--json").json
    assert checked[0]["warnings"] == [hint]


def test_a_text_over_two_lines_that_a_comment_cuts(tmp_path: Path) -> None:
    """YAML cannot go on behind the comment; the message says what to do."""
    (tmp_path / "spec.yaml").write_text("project: Write a C # parser\n  in Python\ncriteria: c\n")
    ended = command(tmp_path, "run", "spec.yaml")
    one_line(ended, 2, "spec.yaml:2: this is not YAML", "put a text that has one in quotes")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
@pytest.mark.parametrize("option", ["--home", "-o"])
def test_a_folder_whose_name_is_no_text(tmp_path: Path, option: str) -> None:
    """Bytes that are no UTF-8 are a name like any other."""
    scripted_spec(tmp_path)
    ended = command(tmp_path, "run", "spec.json", option, os.fsdecode(b"f\xff"))
    assert ended.code == 0, ended.err
    assert (tmp_path / os.fsdecode(b"f\xff")).is_dir()


# ── defects ────────────────────────────────────────────────────────────────────────────────────────────────────────

BROKEN: Final = """
import orchestrator.spec

def json_schema():
    raise {error}

orchestrator.spec.json_schema = json_schema
"""


def with_error(folder: Path, error: str) -> Path:
    """A folder that makes ``spec schema`` raise."""
    (folder / "site").mkdir(parents=True, exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(BROKEN.format(error=error))
    return folder / "site"


def test_a_defect_of_the_program(tmp_path: Path) -> None:
    """It exits 70 with one line, and the traceback is in a file without keys, for its owner alone."""
    site = with_error(tmp_path, "KeyError('at correct horse battery')")
    home = tmp_path / "home"
    ended = command(home, "spec", "schema", environ={"PYTHONPATH": str(site), "MY_API_KEY": "correct horse battery"})
    one_line(ended, 70, "a defect of the program: KeyError", "the traceback is in")
    (saved,) = home.glob("defect-*.txt")
    assert str(saved) in ended.err
    text = saved.read_text()
    assert "Traceback" in text
    assert "in json_schema" in text
    assert "horse" not in text + ended.err
    assert saved.stat().st_mode & 0o077 == 0


def test_a_defect_where_there_is_no_data_folder(tmp_path: Path) -> None:
    """The traceback goes to the temporary files, and no data folder is made for it."""
    site = with_error(tmp_path, "ValueError()")
    (tmp_path / "temporary").mkdir()
    places = {"ORCHESTRATE_HOME": str(tmp_path / "absent"), "TMPDIR": str(tmp_path / "temporary")}
    one_line(
        command(tmp_path, "spec", "schema", environ={"PYTHONPATH": str(site), **places}),
        70,
        str(tmp_path / "temporary"),
    )
    assert not (tmp_path / "absent").exists()


def test_a_defect_with_a_data_folder_named(tmp_path: Path) -> None:
    """The traceback is in the folder that the command line names."""
    site = with_error(tmp_path, "ValueError()")
    (tmp_path / "named").mkdir()
    environ = {"PYTHONPATH": str(site)}
    one_line(command(tmp_path, "spec", "schema", "--home", "named", environ=environ), 70, "named/defect-")


def test_a_defect_in_full(tmp_path: Path) -> None:
    """With ORCHESTRATE_RAISE=1 it is not caught."""
    site = with_error(tmp_path, "ValueError('x')")
    ended = command(tmp_path, "spec", "schema", environ={"PYTHONPATH": str(site), "ORCHESTRATE_RAISE": "1"})
    assert "Traceback" in ended.err
    assert ended.code == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [("PermissionError(13, 'Permission denied', '/x')", "/x: Permission denied"), ("MemoryError()", "memory")],
)
def test_what_the_machine_refuses_is_no_defect(tmp_path: Path, error: str, words: str) -> None:
    """It exits 3 with one line, and leaves no file."""
    one_line(command(tmp_path, "spec", "schema", environ={"PYTHONPATH": str(with_error(tmp_path, error))}), 3, words)
    assert not [*tmp_path.glob("defect-*")]

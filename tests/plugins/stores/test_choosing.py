"""Where the log is: ``--store``, the environment, the user's configuration."""

from pathlib import Path

import pytest

from orchestrator.plugins.store_of_folder import choose_store, shown_store
from tests.cli.command import orchestrate, scripted_spec


def test_a_run_is_written_to_the_store_and_read_from_it(tmp_path: Path) -> None:
    """Every command finds it there by option or variable; the data folder has no log of its own, and keeps the head."""
    home, url = tmp_path / "home", f"sqlite:{tmp_path / 'elsewhere'}"
    spec = scripted_spec(tmp_path, project_id="stored")
    assert orchestrate(home, "run", str(spec), "--store", url).code == 0
    assert (tmp_path / "elsewhere" / "events.db").exists()
    assert not (home / "events.db").exists()
    assert (home / "heads.jsonl").exists()
    assert "stored" in orchestrate(home, "runs", "list", "--store", url).out
    assert "stored" not in orchestrate(home, "runs", "list").out
    there = {"ORCHESTRATE_STORE": url}
    assert "stored" in orchestrate(home, "runs", "list", environ=there).out
    assert orchestrate(home, "audit", "verify", "stored", environ=there).code == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere", "'nowhere' is no address of a store"),
        ("sqlit:x", "no store 'sqlit' is installed; did you mean 'sqlite'?"),
        ("sqlite:", "names no folder"),
    ],
)
def test_a_bad_address_is_one_line(url: str, said: str, tmp_path: Path) -> None:
    """It says what is wrong with it, and nothing is made."""
    shown = orchestrate(tmp_path / "home", "runs", "list", "--store", url)
    assert (shown.code, shown.err.count("\n")) == (2, 1)
    assert said in shown.err
    assert not (tmp_path / "home" / "events.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "Postgresql://u:geheim@h/d",
        " postgresql://u:geheim@h/d",
        "POSTGRES://h/d?password=geheim",
        "U:geheim@h/d",
        "postgresql://u:geheim@[::1",
        "postgresql://u:geheim%ZZ@h/d",
        "postgresql://u:ge/heim@h/d",
        "postgresql://u:ge/geheim?x@h/d",
        "postgresql://h/d?password=geheim%Z",
        "postgresql://[::1/d?password=geheim",
        "nowhere://u:geheim@h/d",
    ],
)
def test_a_bad_address_shows_no_password(url: str, tmp_path: Path) -> None:
    """Whatever is wrong with it, in the option and in the variable."""
    for arguments, environ in (
        (("runs", "list", "--store", url), {}),
        (("runs", "list"), {"ORCHESTRATE_STORE": url}),
    ):
        shown = orchestrate(tmp_path / "home", *arguments, environ=environ)
        assert (shown.code, shown.err.count("\n"), shown.out) == (2, 1, "")
        assert "heim" not in shown.err


@pytest.mark.parametrize("password", ["geheim", "ge?heim", "ge#heim", "ge:heim", "ge@heim", "ge%2Fheim"])
def test_an_address_is_kept_without_its_password(password: str) -> None:
    """Whatever characters it has."""
    choose_store(f"postgresql://u:{password}@h:5432/d?sslmode=require&password=geheim")
    try:
        assert shown_store() == "postgresql://u@h:5432/d?sslmode=require&"
    finally:
        choose_store(None)


def test_a_server_without_its_driver_says_what_to_install(tmp_path: Path) -> None:
    """The plugin is not broken, not in strict mode either: nothing is missing until a log on a server is named."""
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError(name='psycopg')\n")
    spec, without = scripted_spec(tmp_path, project_id="here"), {"PYTHONPATH": str(tmp_path)}
    done = orchestrate(tmp_path, "runs", "list", "--store", "postgresql://localhost/log", environ=without)
    assert (done.code, "pip install 'multi-llm-orchestrator[postgres]'" in done.err) == (2, True), done.err
    strict = orchestrate(tmp_path, "run", str(spec), "--strict-plugins", environ=without)
    assert strict.code == 0, strict.err

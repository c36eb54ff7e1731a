"""A fleet whose log is on a server: its workers find it, and no command line, file or output has the password."""

from pathlib import Path

import pytest

from orchestrator_postgres.store import PostgresStore
from tests.cli.command import orchestrate, scripted_spec
from tests.fleet.test_fleet import until


@pytest.mark.heavy
def test_a_fleet_on_a_server(url: str, tmp_path: Path) -> None:
    """Its worker plays what was submitted; the result is exported elsewhere; another log is refused."""
    home, store = tmp_path / "home", url.replace("postgres@", "postgres:hush@")
    spec = scripted_spec(tmp_path, project_id="one", loop="plain")
    assert orchestrate(home, "submit", str(spec), "--store", store).code == 0
    up = orchestrate(home, "fleet", "up", "--grace", "5", "--store", store)
    try:
        assert up.code == 0, up.err
        reader = PostgresStore(url, write=False)
        until(lambda: reader.view("runs")[0]["status"] == "SUCCESS")
        reader.close()
        commands = [path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any("hush" in each for each in commands if str(home) in each)
        files = [path.read_text() for path in (home / "fleet").iterdir()]
        assert not any("hush" in each for each in [up.out, up.err, *files])
        other = orchestrate(home, "fleet", "up", "--workers", "2")
        assert (other.code, "name it, or first: orchestrate fleet down" in other.err) == (2, True)
    finally:
        down = orchestrate(home, "fleet", "down")
    assert down.code == 0, down.err
    exported = orchestrate(home, "runs", "export", "one", "-o", str(tmp_path / "out"), "--store", store)
    assert exported.code == 0, exported.err
    assert [path.name for path in (tmp_path / "out").glob("*.py")] == ["task_001_code_generation.py"]

"""What tests share: the Hypothesis profiles, chosen by ``HYPOTHESIS_PROFILE``, and third-party plugins."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.plugins.conftest import DISTS, build_wheels, install_wheels

# No test may spend real money, nor depend on what the environment happens to hold.
for _name in [name for name in os.environ if name.endswith(("_API_KEY", "_BASE_URL")) or name == "KIMI_MODEL"]:
    del os.environ[_name]

# What started the tests may have left signals ignored (nohup, a shell's background); commands shall notice them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# the machine may be slow or shared; no test asserts on speed, so neither does Hypothesis
_SLOW = (HealthCheck.too_slow,)

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_SLOW)
# the same examples each time, so that a change is judged by what it changed; "dev" looks for new ones at every run
settings.register_profile(
    "ci", max_examples=200, deadline=None, derandomize=True, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "dev")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores for ``-n auto``: many tests wait for processes, signals and deadlines."""
    given = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    return int(given) if given else (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Idle processes take over what waits behind a long test elsewhere, where ``-n auto`` says nothing else."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session")
def third_party_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` with the distributions orchestrator-shout, -broken and -quitter installed."""
    work = tmp_path_factory.mktemp("third_party")
    sources = shutil.copytree(DISTS, work / "sources", ignore=shutil.ignore_patterns("__pycache__"))
    wheels = build_wheels(work / "wheels", *sorted(sources.iterdir()))
    assert len(wheels) == 3
    install_wheels(work / "site", *wheels)
    return work / "site"


@pytest.fixture(scope="session")
def troubled_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` with orchestrator-troubled installed: exporters, most of which do not behave."""
    work = tmp_path_factory.mktemp("troubled")
    source = DISTS.parent / "exporters" / "dists" / "orchestrator-troubled"
    copy = shutil.copytree(source, work / "source", ignore=shutil.ignore_patterns("__pycache__"))
    install_wheels(work / "site", *build_wheels(work / "wheels", copy))
    return work / "site"

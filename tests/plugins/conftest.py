"""A folder of third-party distributions, built and installed by pip without a network."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DISTS = Path(__file__).parent / "dists"


def run_python(*arguments: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter; no proxy, index or switch of the caller's reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "ORCHESTRATE_"))}
    clean |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=clean | dict(environ or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def build_wheels(folder: Path, *sources: Path) -> list[Path]:
    """Build a wheel of each source folder into ``folder``, without a network and without build isolation."""
    offline = ("--no-build-isolation", "--no-deps", "--no-index", "--no-cache-dir", "--quiet")
    done = run_python("-m", "pip", "wheel", *offline, "--wheel-dir", str(folder), *map(str, sources))
    assert done.returncode == 0, done.stderr
    return sorted(folder.glob("*.whl"))


def install_wheels(target: Path, *wheels: Path) -> None:
    """Install wheels into a folder that may stand on ``PYTHONPATH``, without a network."""
    offline = ("--no-deps", "--no-index", "--no-cache-dir", "--quiet")
    done = run_python("-m", "pip", "install", *offline, "--target", str(target), *map(str, wheels))
    assert done.returncode == 0, done.stderr

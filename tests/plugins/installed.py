"""Distributions as an installer leaves them: a module and its metadata in a folder, without a build."""

import tomllib
from collections.abc import Mapping
from pathlib import Path


def installed(
    site: Path, distribution: str, version: str, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> None:
    """Put modules and the metadata of a distribution into a folder that may stand on the path."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    sections = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in points.items())
    (info / "entry_points.txt").write_text("\n".join(sections))
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)


def install_source(site: Path, source: Path) -> None:
    """Install a folder with a ``pyproject.toml`` and modules beside it."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    modules = {path.stem: path.read_text() for path in source.glob("*.py")}
    installed(site, project["name"], project["version"], project["entry-points"], modules)

"""Write the index of published plugins, for ``orchestrate plugins search``.

Run: ``python .ci/plugin_index.py -o core/orchestrator/cli/commands/plugin_index.json``. It asks a package index
(PEP 691) for its names, looks at the newest wheel of each that begins with ``orchestrator-``, and lists those with
entry points of ours. No code of theirs is run.
"""

import argparse
import configparser
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import httpx
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from orchestrator.plugins import DISTRIBUTION, GROUPS

ACCEPT: Final = {"accept": "application/vnd.pypi.simple.v1+json"}
LARGEST: Final = 20_000_000


def listed(client: httpx.Client, index: str, prefix: str) -> Iterator[dict[str, Any]]:
    """An entry for every distribution of plugins on the package index, by name."""
    names = sorted(each["name"] for each in _json(client, index)["projects"])
    for name in names:
        if name.startswith(prefix) and name != DISTRIBUTION:
            try:
                entry = _entry(client, urljoin(index, f"{name}/"))
            except (httpx.HTTPError, ValueError, LookupError, zipfile.BadZipFile, configparser.Error) as error:
                print(f"{name}: left out: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
                continue
            if entry is not None:
                yield entry


def _json(client: httpx.Client, address: str) -> Any:
    return client.get(address, headers=ACCEPT).raise_for_status().json()


def _entry(client: httpx.Client, project: str) -> dict[str, Any] | None:
    """What the newest wheel says of its plugins; None: it has none."""
    wheels = [(found, file) for file in _json(client, project)["files"] if (found := _version(file)) is not None]
    if not wheels:
        return None
    _, file = max(wheels, key=lambda each: each[0])
    content = _downloaded(client, urljoin(project, file["url"]), file["hashes"]["sha256"])
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        names = {each.rpartition("/")[2]: each for each in wheel.namelist() if ".dist-info/" in each}
        points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        points.optionxform = str  # type: ignore[assignment,method-assign]
        points.read_string(wheel.read(names["entry_points.txt"]).decode() if "entry_points.txt" in names else "")
        metadata = Parser().parsestr(wheel.read(names["METADATA"]).decode(), headersonly=True)
    plugins = {kind: sorted(points[group]) for kind, group in GROUPS.items() if points.has_section(group)}
    if not plugins:
        return None
    facts = {"distribution": metadata["Name"], "version": metadata["Version"], "summary": metadata["Summary"] or ""}
    return {**facts, "plugins": plugins}


def _version(file: dict[str, Any]) -> Any:
    if file.get("yanked") or not file["filename"].endswith(".whl"):
        return None
    try:
        return parse_wheel_filename(file["filename"])[1]
    except InvalidWheelFilename:
        return None


def _downloaded(client: httpx.Client, address: str, digest: str) -> bytes:
    content = b""
    with client.stream("GET", address) as response:
        response.raise_for_status()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > LARGEST:
                raise ValueError(f"its wheel is larger than {LARGEST} bytes")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("its wheel is not the one that the index names")
    return content


def main() -> None:
    """Write the index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="https://pypi.org/simple/")
    parser.add_argument("--prefix", default="orchestrator-")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    with httpx.Client(timeout=30, follow_redirects=True) as client:
        plugins = list(listed(client, given.index, given.prefix))
    given.output.write_text(json.dumps({"plugins": plugins}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

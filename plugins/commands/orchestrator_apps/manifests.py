"""What an application needs from others, written where its language looks for it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import distributions, packages_distributions
from typing import Any, Final

from attrs import frozen

from orchestrator.suites import is_test_file
from orchestrator_apps.declared_requirements import ManifestError, declared, normal

_DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "github": "PyGithub",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "multipart": "python-multipart",
    "passlib": "passlib",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "usb": "pyusb",
    "yaml": "PyYAML",
}
"""Modules whose distribution has another name, where it is not installed here."""

_VERSIONS: Final[Mapping[str, str]] = {
    "@types/react": "^19",
    "@types/react-dom": "^19",
    "next": "^15",
    "react": "^19",
    "react-dom": "^19",
    "typescript": "^5",
    "vite": "^7",
}
_DEVELOPMENT: Final = frozenset({"typescript", "vite", "vitest", "@vitejs/plugin-react", "eslint", "prettier"})
_TESTING: Final = frozenset({"pytest", "hypothesis", "httpx"})


@frozen
class Manifest:
    """A manifest to write, and what it lacks.

    Attributes:
        files: content by path; empty where there is nothing to write.
        dependencies: what the application needs, sorted.
        problems: one line per need that a manifest of a task's own does not name.
    """

    files: Mapping[str, str]
    dependencies: tuple[str, ...]
    problems: tuple[str, ...] = ()


def distribution_of(module: str, installed: Mapping[str, Sequence[str]] | None = None) -> str:
    """The distribution that has a module: as installed here, else as commonly known, else of the same name."""
    known = _module_owners() if installed is None else installed
    if module in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[module]
    names = known.get(module)
    return names[0] if names else module


def python_manifest(
    files: Mapping[str, str], name: str, title: str, needed: Iterable[str], modules: Iterable[str]
) -> Manifest:
    """``pyproject.toml``: written where no task wrote one, else checked against what the files import.

    Args:
        files: content by path.
        name: the package's name.
        title: one line.
        needed: distributions of the scaffold.
        modules: top-level modules that the files import.
    """
    installed = _module_owners()
    wanted = {normal(each): each for each in (*needed, *(distribution_of(each, installed) for each in modules))}
    dependencies = tuple(sorted(wanted.values(), key=str.lower))
    if "pyproject.toml" in files:
        return Manifest({}, dependencies, tuple(_lacking(files, wanted)))
    tests = [each for each in dependencies if normal(each) in _TESTING]
    runtime = [each for each in dependencies if each not in tests]
    if any(path.endswith(".py") and is_test_file(path) for path in files):
        tests = sorted({*tests, "pytest"})
    packages, root = _packages(files)
    dashed = name.replace("_", "-")
    lines = [
        "[build-system]",
        'requires = ["setuptools>=77"]',
        'build-backend = "setuptools.build_meta"',
        "",
        "[project]",
        f"name = {_quoted(dashed)}",
        'version = "0.1.0"',
        f"description = {_quoted(title)}",
        'requires-python = ">=3.11"',
        f"dependencies = {_listed(runtime)}",
    ]
    if tests:
        lines += ["", "[project.optional-dependencies]", f"test = {_listed(tests)}"]
    if f"{name}/cli.py" in files:
        lines += ["", "[project.scripts]", f'{dashed} = "{name}.cli:main"']
    lines += ["", "[tool.setuptools]", f"packages = {_listed(packages)}"]
    if root:
        lines.append(f'package-dir = {{"" = {_quoted(root)}}}')
    return Manifest({"pyproject.toml": "\n".join(lines) + "\n"}, dependencies)


def _module_owners() -> Mapping[str, Sequence[str]]:
    """The installed distributions by the top-level modules they have; one that cannot be read is passed over."""
    try:
        return packages_distributions()
    except Exception:
        owners: dict[str, list[str]] = {}
        for distribution in distributions():
            with suppress(Exception):
                for module in (distribution.read_text("top_level.txt") or "").split():
                    owners.setdefault(module, []).append(distribution.metadata["Name"])
        return owners


def _packages(files: Iterable[str]) -> tuple[list[str], str]:
    """The packages with all that are inside them, tests aside, by their dotted names; and the folder they lie in."""
    folders = {path.removesuffix("/__init__.py") for path in files if path.endswith("/__init__.py")}
    folders = {each for each in folders if each.partition("/")[0] != "tests"}
    inside = {each.removeprefix("src/") for each in folders if each.startswith("src/")}
    is_rooted = bool(inside) and folders <= {"src", *(f"src/{each}" for each in inside)}
    return sorted(each.replace("/", ".") for each in (inside if is_rooted else folders)), "src" if is_rooted else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"


def _lacking(files: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    try:
        given = declared(files)
    except ManifestError as error:
        yield f"pyproject.toml: it cannot be read: {error}"
        return
    yield from given.problems
    for name, spelled in wanted.items() if given.is_whole and not given.problems else ():
        if name not in given.names and name not in _TESTING:
            yield f"pyproject.toml: {spelled} is imported, and not among the dependencies"


def script_manifest(
    files: Mapping[str, str], name: str, title: str, needed: Iterable[str], packages: Iterable[str]
) -> Manifest:
    """``package.json``: what a task wrote of it stays, what the files import is added.

    Args:
        files: content by path.
        name: the application's name.
        title: one line.
        needed: packages of the scaffold.
        packages: packages that the files import.
    """
    wanted = tuple(sorted({*needed, *packages}))
    try:
        given: Any = json.loads(files.get("package.json", "{}"))
    except (ValueError, RecursionError) as error:
        return Manifest({}, wanted, (f"package.json: it cannot be read: {error}",))
    if not isinstance(given, dict) or not all(isinstance(given.get(key, {}), dict) for key in _SECTIONS):
        return Manifest({}, wanted, ("package.json: it is not a manifest",))
    manifest = {"name": name.replace("_", "-"), "private": True, "version": "0.1.0", "description": title, **given}
    if "vite" in wanted and "scripts" not in given:
        manifest["scripts"] = {"dev": "vite", "build": "vite build", "preview": "vite preview"}
    elif "next" in wanted and "scripts" not in given:
        manifest["scripts"] = {"dev": "next dev", "build": "next build", "start": "next start"}
    known = {package for key in _SECTIONS for package in manifest.get(key, {})}
    for package in wanted:
        if package not in known:
            section = "devDependencies" if package in _DEVELOPMENT else "dependencies"
            manifest[section] = {**manifest.get(section, {}), package: _VERSIONS.get(package, "*")}
    return Manifest({"package.json": json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"}, wanted)


_SECTIONS: Final = ("dependencies", "devDependencies", "peerDependencies", "scripts")

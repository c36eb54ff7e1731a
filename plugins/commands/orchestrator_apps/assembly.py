"""The assembly of an application: its scaffold under the outputs of the tasks, what it needs, and a trial."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import cattrs
from attrs import asdict, frozen

from orchestrator.allowed_file_names import UnsafeNameError, checked_name
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.outputs.verification import FolderVerifier, TooLargeError, Verified, copied
from orchestrator.models import Verdict
from orchestrator.spi import App, Sandbox, Skeleton
from orchestrator_apps.imports import python_imports, script_imports
from orchestrator_apps.manifests import Manifest, python_manifest, script_manifest
from orchestrator_apps.trial import Step, run_tests, start

_LONGEST_START: Final = 60.0
_INSTALLED: Final = "node_modules/"
_MOST_BYTES: Final = 200 * 1024 * 1024
_MOST_FILES: Final = 15_000
"""Of an application with its packages beside it: what a sandbox takes."""


@frozen
class Assembly:
    """What became of an application.

    Attributes:
        app_type: whose scaffold it was.
        files_written: every file of it, by its path in the output folder.
        dependencies: what it needs from the registry of its language.
        problems: one line per file that cannot work; empty: none was found.
        steps: what was tried, in order.
    """

    app_type: str
    files_written: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Failed where there are problems or a step failed, unknown where one did not come to its end, else passed."""
        verdicts = {step.verdict for step in self.steps}
        if self.problems or Verdict.FAILED in verdicts:
            return Verdict.FAILED
        return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.PASSED

    @property
    def gist(self) -> str:
        """The problems and the steps that did not pass, in a few words; empty where all is well."""
        wrong = [f"{step.name} {step.verdict.value}" for step in self.steps if step.verdict is not Verdict.PASSED]
        return "; ".join((*wrong, *self.problems))

    def text(self) -> str:
        """The assembly as JSON; ``read_assembly`` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


def read_assembly(text: str) -> Assembly:
    """Read what ``Assembly.text`` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        return cattrs.structure(json.loads(text), Assembly)
    except Exception as error:
        raise ValueError(f"this is no assembly: {error}") from error


@frozen
class AppVerifier:
    """Puts an application together in its output folder, and tries it on a copy.

    Attributes:
        folder: where it is written.
        selector: the sandbox level for what is run.
        describe: the application and its fixed part, as they stand when it is called.
        placed: the files of the tasks that the plan gives a path, of those that have a result; None where the plan
            gives a path to no task.
    """

    folder: OutputFolder
    selector: Sandbox
    describe: Callable[[], tuple[App, Skeleton]]
    placed: Callable[[], frozenset[str] | None]

    def __call__(self, command: str, outputs: Mapping[str, str], seconds: float) -> Verified:
        """Write what is missing, look it through, run its tests, start it, and run ``command`` where there is one."""
        app, skeleton = self.describe()
        files, manifest, modules, problems = _assembled(outputs, app, skeleton)
        written, failures = self._write(files, {*manifest.files} & {*outputs})
        steps: list[Step] = []
        try:
            present = copied(self.folder.path, most_bytes=_MOST_BYTES, most_files=_MOST_FILES)
        except (OSError, TooLargeError) as error:
            steps.append(Step("start", Verdict.SKIPPED, str(error)))
        else:
            own = {path: content for path, content in present.items() if not path.startswith(_INSTALLED)}
            steps.append(run_tests(own, modules, self.selector, seconds / 2))
            steps.extend(
                start(launch, present, modules, self.selector, min(seconds / 2, _LONGEST_START))
                for launch in skeleton.launches
            )
        if command:
            steps.append(self._commanded(command, files, seconds))
        assembly = Assembly(
            app.profile.app_type,
            written,
            manifest.dependencies,
            (*_missing_results(self.placed(), written), *problems, *manifest.problems, *failures),
            tuple(steps),
        )
        sandbox = next((step.sandbox for step in steps if step.sandbox is not None), None)
        return Verified(assembly.verdict, None, None, assembly.text(), sandbox)

    def _write(self, files: Mapping[str, str], again: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Write the files that are missing, and ``again`` those that were added to: (written, failures)."""
        failures = []
        for name, content in files.items():
            if name in again or self.folder.is_missing(name):
                try:
                    self.folder.write(name, content)
                except OSError as error:
                    failures.append(f"{name}: it cannot be written: {error.strerror}")
        return tuple(name for name in files if not self.folder.is_missing(name)), tuple(failures)

    def _commanded(self, command: str, outputs: Mapping[str, str], seconds: float) -> Step:
        """The user's own command."""
        found = FolderVerifier(self.folder, self.selector)(command, outputs, seconds)
        return Step("verify_cmd", found.verdict, found.problem or found.output, found.sandbox)


def _missing_results(placed: frozenset[str] | None, written: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong where an application is nothing but its scaffold."""
    if placed is None:
        return ("the plan gives no task a file of the application",)
    return () if placed.intersection(written) else ("the application holds none of the tasks' results",)


def assembled(outputs: Mapping[str, str], app: App, skeleton: Skeleton) -> dict[str, str]:
    """Every file of an application, from the outputs of its tasks, its scaffold and its manifest."""
    return _assembled(outputs, app, skeleton)[0]


def _assembled(
    outputs: Mapping[str, str], app: App, skeleton: Skeleton
) -> tuple[dict[str, str], Manifest, tuple[str, ...], tuple[str, ...]]:
    """The files, the manifest among them, the foreign Python modules, and what was found wrong."""
    written = {name.casefold() for name in outputs}
    fixed = {name: text for name, text in _allowed(skeleton.files).items() if name.casefold() not in written}
    files = {**fixed, **outputs}
    manifest, modules, problems = _needs(files, app, skeleton)
    return {**files, **manifest.files}, manifest, modules, problems


def _allowed(files: Mapping[str, str]) -> dict[str, str]:
    """The files of a scaffold whose names may be written; it may be a third-party plugin."""
    found = {}
    for name, content in files.items():
        with suppress(UnsafeNameError):
            found[checked_name(name)] = content
    return found


def _needs(files: Mapping[str, str], app: App, skeleton: Skeleton) -> tuple[Manifest, tuple[str, ...], tuple[str, ...]]:
    """The manifest, the foreign Python modules, and what was found wrong."""
    python, scripts = python_imports(files), script_imports(files)
    problems = (*python.problems, *scripts.problems)
    if any(path.endswith(".py") for path in files):
        return (
            python_manifest(files, app.name, app.title, skeleton.dependencies, python.packages),
            python.packages,
            problems,
        )
    if skeleton.dependencies or "package.json" in files or scripts.packages:
        return script_manifest(files, app.name, app.title, skeleton.dependencies, scripts.packages), (), problems
    return Manifest({}, ()), (), problems

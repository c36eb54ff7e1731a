"""From a spec file and the flags of the command line to the spec that is run."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from orchestrator.cli.terminal.terminal_output import notice
from orchestrator.documents import Document, expanded, read_stream, read_value
from orchestrator.errors import SpecError, UsageError
from orchestrator.models import MOST_CONTEXT_BYTES
from orchestrator.settings import Approvals
from orchestrator.spec import Spec, parse_spec, read_spec, spec_of, with_models
from orchestrator.spec.value_kinds import NameOf

if TYPE_CHECKING:
    from orchestrator.plugins import Catalogue
    from orchestrator.trust import Admission


STDIN_FILE: Final = "-"
"""What stands for stdin among files."""

STDIN: Final = "<stdin>"
"""What the file ``-`` is called in messages."""


def spec_of_file(
    path: Path, sets: Sequence[str], flags: dict[str, Any], models: Path | None, context: Sequence[str] = ()
) -> Spec:
    """The spec in a file; ``--set`` changes the file's keys, then flags (keys with their values) win.

    ``context`` are further files; what ``-`` stands for among them, and among the spec's own, is read here.

    Raises:
        SpecError: the file, or the models file, cannot be used.
        UsageError: a ``--set`` cannot be applied.
    """
    spec = spec_given(path, sets)
    for hint in spec.hints:
        notice(f"! {hint}")
    changed = with_context(with_flags(spec, flags), context)
    for file in models_files(models):
        changed = with_models(changed, file)
    return evolve(changed, as_read=spec if spec.as_read is None else spec.as_read)


def models_files(given: Path | None) -> tuple[Path, ...]:
    """The models file of ``--models`` where one is given, then those of the user's configuration, which win.

    Raises:
        SpecError: the configuration cannot be used.
    """
    from orchestrator.trust import read_configuration

    configuration = read_configuration(os.environ)
    return (*(() if given is None else (given,)), *map(configuration.named, configuration.models_files))


def spec_given(path: Path, sets: Sequence[str] = ()) -> Spec:
    """The spec in a file, or on stdin where the file is ``-``.

    Raises:
        SpecError: it cannot be used.
        UsageError: a ``--set`` cannot be applied, or there is no stdin.
    """
    if str(path) != "-":
        return read_spec(path, sets)
    return spec_of(_document_on_stdin(), sets, Path())


def _document_on_stdin() -> Document:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UsageError("there is no stdin to read the spec from; name a file")
    return read_stream(stream, STDIN)


def with_flags(spec: Spec, flags: dict[str, Any]) -> Spec:
    """The spec with the flags that were given in the place of its keys.

    Raises:
        SpecError: a flag's value cannot be used.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    identifier = given.get("project_id")
    if identifier == "":
        raise SpecError(["--project-id is empty; give the run a name, or leave it out"])
    if identifier is not None:  # read like the key of a file, so that the same names are allowed
        checked = parse_spec({"project": "-", "criteria": "-", "project_id": identifier}, "--project-id")
        given["project_id"] = checked.project_id
    return evolve(spec, **given)


def with_backend(spec: Spec, name: str | None) -> Spec:
    """The spec with another backend; the parameters stay where it is the spec's own.

    Raises:
        SpecError: it is no name.
    """
    if name is None:
        return spec
    checked = parse_spec({"project": "-", "criteria": "-", "routing": {"backend": name}}, "--backend")
    routing = checked.routing
    parameters = spec.routing.parameters if routing.backend == spec.routing.backend else {}
    others = [use for use in spec.uses if use.kind is not NameOf.BACKEND]
    return evolve(
        spec,
        routing=evolve(spec.routing, backend=routing.backend, parameters=parameters),
        uses=(*others, *checked.uses),
    )


def with_context(spec: Spec, paths: Sequence[str]) -> Spec:
    """The spec with further files, as the command line names them; what ``-`` stands for is read here.

    Raises:
        SpecError: a path is none, or the spec itself is read from stdin.
    """
    named = [each if each == STDIN_FILE else os.path.relpath(expanded(each), spec.folder) for each in paths if each]
    if len(named) < len(paths):
        raise UsageError("--context is empty; name a file or a folder")
    checked = parse_spec({"project": "-", "criteria": "-", "context": named}, "--context") if named else None
    if checked is not None:
        context = tuple(dict.fromkeys((*spec.context, *checked.context)))
        spec = evolve(spec, context=context, files=(*spec.files, *checked.files))
    if STDIN_FILE not in spec.named_files:
        return spec
    if spec.source == STDIN:
        raise UsageError("the spec itself is read from stdin; name a file for one of the two")
    return evolve(spec, stdin=_stdin())


def _stdin() -> str:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UsageError("there is no stdin to read; name a file")
    content: bytes = stream.read(MOST_CONTEXT_BYTES + 1)
    if len(content) > MOST_CONTEXT_BYTES:
        raise UsageError(f"stdin has more than {MOST_CONTEXT_BYTES // 1_000_000} MB, the most that one file may have")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("stdin is no text in UTF-8; only texts can be given") from None


def with_approvals(spec: Spec, points: Sequence[str]) -> Spec:
    """The spec with further approval points: ``plan``, ``tasks``, ``ceiling`` or ``spend=USD``.

    Raises:
        SpecError: one is none.
    """
    if not points:
        return spec
    given: list[Any] = [read_set(each) if "=" in each else each for each in points]
    found = parse_spec({"project": "-", "criteria": "-", "approve": given}, "--approve").approve
    own = spec.approve
    return evolve(
        spec,
        approve=Approvals(
            plan=own.plan or found.plan,
            tasks=own.tasks or found.tasks,
            spend=tuple(sorted({*own.spend, *found.spend})),
            ceiling=own.ceiling or found.ceiling,
        ),
    )


def read_set(text: str) -> dict[str, Any]:
    """``NAME=VALUE`` as a mapping."""
    name, _, value = text.partition("=")
    return {name.strip(): read_value(value, "--approve")}


def with_loop(spec: Spec, name: str | None) -> Spec:
    """The spec with one strategy of the review loop for all tasks.

    Raises:
        SpecError: there is none of that name.
    """
    if name is None:
        return spec
    checked = parse_spec({"project": "-", "criteria": "-", "loop": name}, "--loop")
    return evolve(spec, loop=checked.loop)


def with_policies(spec: Spec, flags: Sequence[Path], catalogue: "Catalogue") -> Spec:
    """The spec with the policies that bind it from ``--policy`` files and its ``policy_files`` before its own.

    Raises:
        SpecError: a file cannot be used, or has levels to which the spec does not say where it belongs.
    """
    from orchestrator.policy_dsl import with_policies as with_own

    return with_own(spec, flags, catalogue.loader_for_suffix)


def bound(
    spec: Spec,
    admission: "Admission",
    catalogue: "Catalogue",
    flags: Sequence[Path] = (),
    output: Path | None = None,
    *,
    is_run: bool = True,
) -> Spec:
    """The spec that its user lets run (or be looked at), with the policies of ``--policy`` files and of its own.

    Raises:
        NotAllowedError: it wants what its user has not agreed to.
        SpecError: a file cannot be used, or has levels to which the spec does not say where it belongs.
    """
    from orchestrator.policy_dsl import bind

    return bind(spec, admission, flags, catalogue.loader_for_suffix, output, is_run=is_run)


def named_output(spec: Spec) -> Path | None:
    """The output folder that a spec names."""
    return expanded(spec.output_dir) if spec.output_dir else None


def check_policy_names(spec: "Spec", catalogue: "Catalogue") -> None:
    """Refuse policies in which a model, provider or region is misspelt; known are the spec's own, too.

    Raises:
        SpecError: one is; all of them together.
    """
    from orchestrator.engine.spec_checks import check_names
    from orchestrator.engine.vendors.environment import Environment

    check_names(spec, catalogue, Environment.of_process(lambda secret: None))

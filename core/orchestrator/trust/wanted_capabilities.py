"""What a spec wants that its user has to agree to: a pure function of the spec and of where it is run."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, frozen

from orchestrator.documents import expanded
from orchestrator.errors import UsageError
from orchestrator.forbidden_file_names import is_run_by_tools
from orchestrator.models import CapabilityKind
from orchestrator.settings import SandboxChoice
from orchestrator.trust.addresses import Address, address_of
from orchestrator.trust.capabilities import Capability, command_value
from orchestrator.trust.keys_needing_consent import AGREED, is_known

if TYPE_CHECKING:
    from orchestrator.money import Usd
    from orchestrator.spec import Spec

_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_PATTERN: Final = re.compile(r"[*?\[]")
_STDIN: Final = "-"
_INSERTED: Final = re.compile(r"(?:env:|\$\{?)\s*([A-Za-z_][A-Za-z0-9_]*)")
_PROGRAMS: Final = ("type", "every_seconds")
"""Options that the program itself reads."""


def _as_it_is(path: Path) -> Path:
    return path


@frozen
class VendorFacts:
    """Where a provider goes by itself, and which variables it takes its key from."""

    hosts: frozenset[str] = frozenset()
    """Its vendor's own hosts."""
    variables: frozenset[str] = frozenset()
    reached: str | None = None
    """The host it calls where a spec gives no address: its vendor's, or that of the environment."""


@frozen
class Surroundings:
    """Where a spec is run: everything this module looks at beside the spec. The defaults know no vendor and no link."""

    work: Path = Path()
    """The working folder."""
    own: tuple[Path, ...] = ()
    """Folders of this program: its data and its configuration; no result belongs there."""
    programs: tuple[Path, ...] = ()
    """Folders in which shells look for programs."""
    ceiling: "Usd | None" = None
    """The most the user's configuration lets a run spend; None: it does not say."""
    resolved: Callable[[Path], Path] = _as_it_is
    """A path without links, as the system would open it."""
    digest: Callable[[Path], str] = lambda path: "unknown"
    """The SHA-256 of a file's content."""
    vendor: Callable[[str], VendorFacts] = lambda provider: VendorFacts()
    """What is known of an installed provider."""
    is_beside: Callable[[str], bool] = lambda variable: False
    """Whether a variable has its value only from the ``.env`` in the working folder."""
    providers: tuple[str, ...] = Factory(tuple)
    """The installed providers."""
    is_built_in: Callable[[str, str], bool] = lambda kind, name: False
    """Whether a plugin, by kind and name, is one of the program's, which refuse what they do not know; or none."""


def wants(spec: "Spec", around: Surroundings, output: Path | None = None) -> tuple[Capability, ...]:
    """What a spec wants, each once, in the order of the kinds.

    Args:
        spec: the spec.
        around: where it is run.
        output: the output folder that is used; one that the spec does not name is the user's own word.
    """
    order = tuple(CapabilityKind)
    found = {*_of_the_spec(spec, around, output), *_of_providers(spec, around), *_of_exporters(spec, around)}
    found |= {*_of_validators(spec), *_of_scorer(spec, around)}
    return tuple(sorted(found, key=lambda each: (order.index(each.kind), each.value)))


def _of_the_spec(spec: "Spec", around: Surroundings, output: Path | None) -> Iterator[Capability]:
    if spec.validators.sandbox is SandboxChoice.NONE:
        yield Capability(CapabilityKind.SANDBOX, SandboxChoice.NONE.value)
        commands = [each.run for each in spec.validators.commands.values()]
        for command in (*commands, *(() if spec.verify_cmd is None else (spec.verify_cmd,))):
            yield Capability(CapabilityKind.COMMAND, command_value(command))
    for name in (*spec.policy_files, *(() if spec.prompts is None else (spec.prompts,))):
        yield from reading(name, spec, around.resolved)
    yield from files_wanted(spec, around)
    for path in plugin_files(spec):
        yield Capability(CapabilityKind.PLUGIN, f"{around.resolved(path)}@{around.digest(path)}")
    if spec.output_dir is not None and output is not None and output == _expanded(spec.output_dir):
        yield from _output(output, around)
    if around.ceiling is not None and spec.budget_usd > around.ceiling:
        yield Capability(CapabilityKind.BUDGET, str(spec.budget_usd))


def plugin_files(spec: "Spec") -> list[Path]:
    """The plugin files that a spec names, from its folder.

    Raises:
        UsageError: one is in a home folder that there is not.
    """
    return [Path(spec.folder) / expanded(name) for name in spec.plugins]


def reading(name: str, spec: "Spec", resolved: Callable[[Path], Path]) -> Iterator[Capability]:
    """What reading a file or folder needs: nothing below the spec's own folder, links followed."""
    named = _expanded(name)
    if named is None:
        return
    path = resolved(Path(spec.folder) / named)
    if not path.is_relative_to(resolved(Path(spec.folder))):
        yield Capability(CapabilityKind.READ, str(path))


def files_wanted(spec: "Spec", around: Surroundings) -> Iterator[Capability]:
    """What reading the files of a spec's contexts needs."""
    for name in spec.named_files:
        if name == _STDIN:
            continue
        fixed = _fixed(name)
        yield from reading(fixed, spec, around.resolved)
        if not _lies_below(name, fixed, spec, around):  # a link may be called like a pattern
            yield from reading(name, spec, around.resolved)


def _lies_below(name: str, fixed: str, spec: "Spec", around: Surroundings) -> bool:
    """Whether a path of a spec leads to where its fixed part does, or below."""
    named, below = _expanded(name), _expanded(fixed)
    if named is None or below is None:
        return True
    folder = Path(spec.folder)
    return around.resolved(folder / named).is_relative_to(around.resolved(folder / below))


def _fixed(name: str) -> str:
    """The folder below which all files of a pattern lie; a path without a pattern is itself."""
    parts = Path(name).parts
    place = next((place for place, part in enumerate(parts) if _PATTERN.search(part)), None)
    return name if place is None else str(Path(*parts[:place]))


def _output(path: Path, around: Surroundings) -> Iterator[Capability]:
    """Writing results where they are not below the working folder, or where tools run what they find."""
    work = around.resolved(around.work)
    target = around.resolved(around.work / path)
    inside = target.relative_to(work) if target.is_relative_to(work) else None
    programs = {around.resolved(each) for each in around.programs}
    if inside is None or is_run_by_tools(inside.parts) or target in programs or _is_own(target, around):
        yield Capability(CapabilityKind.OUTPUT, str(target))


def _is_own(target: Path, around: Surroundings) -> bool:
    """Whether a path is in a folder of this program that lies below the working folder."""
    work = around.resolved(around.work)
    below = [own for own in map(around.resolved, around.own) if own != work and own.is_relative_to(work)]
    return any(target.is_relative_to(own) for own in below)


def _of_providers(spec: "Spec", around: Surroundings) -> Iterator[Capability]:
    for name, options in spec.providers.items():
        plugin = options.get("type", name)
        yield from _address_and_keys(str(plugin), options, around)
        for key, value in options.items():
            if key == "answers" and isinstance(value, str):
                yield from reading(value, spec, around.resolved)
            elif _is_strange("provider", str(plugin), key, around) and _names_something(value):
                yield _option(f"providers.{name}.{key}", value)


def _address_and_keys(name: str, options: Mapping[str, Any], around: Surroundings) -> Iterator[Capability]:
    address = None
    if options.get("base_url") is not None:
        address = address_of(options["base_url"])
        if not address.is_loopback and not (address.is_secure and _is_vendors(address.host, around)):
            yield Capability(CapabilityKind.ADDRESS, address.text)
    for variable in _variables(options):
        if not _is_usual(variable, name, address, around):
            host = (around.vendor(name).reached or name) if address is None else address.host
            yield Capability(CapabilityKind.KEY, f"{variable}@{host}")


def _is_vendors(host: str, around: Surroundings) -> bool:
    return any(host in around.vendor(provider).hosts for provider in around.providers)


def _is_usual(variable: str, provider: str, address: Address | None, around: Surroundings) -> bool:
    """Whether a vendor's own variable goes to that vendor, or one of the folder's ``.env`` to this machine."""
    if address is None:
        return variable in around.vendor(provider).variables
    if address.is_loopback:
        return around.is_beside(variable)
    facts = [around.vendor(each) for each in around.providers] if address.is_secure else []
    return any(address.host in each.hosts and variable in each.variables for each in facts)


def _variables(options: Mapping[str, Any]) -> Iterator[str]:
    """The variables of the environment that a provider's options name."""
    named = options.get("api_key_env")
    if isinstance(named, str):
        yield named
    headers = options.get("headers")
    for value in headers.values() if isinstance(headers, Mapping) else ():
        for text in _texts(value):
            yield from _INSERTED.findall(text)
            if _VARIABLE.fullmatch(text):
                yield text


def _of_exporters(spec: "Spec", around: Surroundings) -> Iterator[Capability]:
    for name, options in spec.exporters.items():
        for key, value in options.items():
            yield from _of_exporter_option(name, key, value, options, around)


def _of_exporter_option(
    name: str, key: str, value: Any, options: Mapping[str, Any], around: Surroundings
) -> Iterator[Capability]:
    match key, value:
        case ("path", str()) if (named := _expanded(value)) is not None:
            work, path = around.resolved(around.work), around.resolved(around.work / named)
            inside = path.relative_to(work).parts if path.is_relative_to(work) else None
            if inside is None or is_run_by_tools(inside) or _is_own(path, around):
                yield Capability(CapabilityKind.WRITE, str(path))
        case ("endpoint" | "url", str()):
            address = address_of(value)
            if not address.is_loopback:
                yield Capability(CapabilityKind.ADDRESS, address.text)
        case ("host", str()):
            if not address_of(f"http://{value}").is_loopback:
                yield Capability(CapabilityKind.LISTEN, f"{value}:{options.get('port', '')}")
        case ("secret_env" | "addresses_env", str()):
            url = options.get("url")
            yield Capability(CapabilityKind.KEY, f"{value}@{address_of(url).host if isinstance(url, str) else name}")
        case _ if _is_strange("exporter", name, key, around) and value is not None:
            yield _option(f"exporters.{name}.{key}", value)


def _of_scorer(spec: "Spec", around: Surroundings) -> Iterator[Capability]:
    scorer = spec.evaluate.scorer
    for key, value in spec.evaluate.parameters.items():
        if scorer is not None and not around.is_built_in("scorer", scorer) and _names_something(value):
            yield _option(f"evaluate.parameters.{key}", value)


def _of_validators(spec: "Spec") -> Iterator[Capability]:
    for name, settings in spec.validators.settings.items():
        for key, value in settings.items():
            if not is_known(f"validators.settings.*.{key}") and _names_something(value):
                yield _option(f"validators.settings.{name}.{key}", value)


def _expanded(name: str) -> Path | None:
    """A path with its home folder; None where there is no such home, which whatever opens it says by itself."""
    try:
        return expanded(name)
    except UsageError:
        return None


def _is_strange(kind: str, plugin: str, key: str, around: Surroundings) -> bool:
    """Whether nothing is known of what a plugin does with an option."""
    return f"{kind}s.*.{key}" not in AGREED and key not in _PROGRAMS and not around.is_built_in(kind, plugin)


def _option(path: str, value: Any) -> Capability:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return Capability(CapabilityKind.OPTION, command_value(f"{path}={text}"))


def _names_something(value: Any) -> bool:
    """Whether a value could name a file, an address, a variable or a command: it is a text, or holds one."""
    return any(True for _ in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for each in value.values():
                yield from _texts(each)
        case list() | tuple():
            for each in value:
                yield from _texts(each)

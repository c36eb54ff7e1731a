"""Every key of a spec, and every option of a built-in plugin, is in one of the two columns."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.errors import OrchestrateError
from orchestrator.plugins import Catalogue
from orchestrator.spec.container_kinds import FreeMapping, ListOf, MapOf, Record
from orchestrator.spec.spec_keys import SPEC
from orchestrator.spec.value_kinds import Kind
from orchestrator.spi import ExporterConfig, ProviderConfig
from orchestrator.trust.keys_needing_consent import AGREED, FREE, is_known

OF_PLUGINS = {"providers.*", "exporters.*", "validators.settings.*"}
"""Mappings whose keys belong to plugins."""


def leaves(kind: Kind[Any], path: str = "") -> Iterator[str]:
    """The path of every key that holds no record, list or mapping of the program's own."""
    match kind:
        case Record():
            for name, entry in kind.keys.items():
                yield from leaves(entry.kind, f"{path}.{name}".lstrip("."))
        case ListOf() | MapOf():
            yield from leaves(kind.item, f"{path}.*")
        case _:
            yield path


@pytest.mark.parametrize("path", sorted(leaves(SPEC)))
def test_a_key_of_the_spec_is_in_a_column(path: str) -> None:
    """Whoever adds a key says whether it opens, sends, listens or executes."""
    assert path in OF_PLUGINS or is_known(path), f"put {path} into a column of trust/keys_needing_consent.py"


def test_free_mappings_are_plugins_or_listed() -> None:
    """No mapping whose inside is not read by the spec's own classes escapes the columns."""

    def free(kind: Kind[Any], path: str = "") -> Iterator[str]:
        match kind:
            case Record():
                for name, entry in kind.keys.items():
                    yield from free(entry.kind, f"{path}.{name}".lstrip("."))
            case ListOf() | MapOf():
                yield from free(kind.item, f"{path}.*")
            case FreeMapping():
                yield path

    assert set(free(SPEC)) == OF_PLUGINS | {"evaluate.parameters", "routing.parameters", "tasks.*.schema"}


def options_of(kind: str, name: str) -> list[str]:
    """The options that a built-in plugin takes, as its own refusal of another one lists them."""
    catalogue = Catalogue.discover({})
    options = {"a_bogus_option": 1}

    def build() -> object:
        if kind == "provider":
            return catalogue.provider(name, ProviderConfig(name, options, (), lambda _: "k", lambda _: None))
        return catalogue.exporter(name, ExporterConfig(name, options))

    with pytest.raises(OrchestrateError) as refused:
        build()
    text = str(refused.value)
    found = re.search(r"(?:it takes|known are) (.+)", text)
    assert found is not None, text
    return [] if found[1] == "no options" else re.split(r", | or | and ", found[1])


BUILT_IN = [
    (kind, entry.name)
    for kind in ("provider", "exporter")
    for entry in Catalogue.discover({}).entries()
    if entry.kind == kind and entry.distribution == "multi-llm-orchestrator"
]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_an_option_of_a_built_in_plugin_is_in_a_column(kind: str, name: str) -> None:
    """A new option of a provider or an exporter fails here, too."""
    for option in options_of(kind, name):
        path = f"{kind}s.*.{option}"
        assert is_known(path), f"put {path} into a column of trust/keys_needing_consent.py"


def test_the_columns_hold_nothing_else() -> None:
    """No key is in both columns, and none is left of an earlier spec."""
    assert not set(AGREED) & FREE
    known = set(leaves(SPEC))
    built_in = {f"{kind}s.*.{option}" for kind, name in BUILT_IN for option in options_of(kind, name)}
    others = {"validators.settings.*.longest", "validators.settings.*.shortest", "providers.*.type"}
    assert (set(AGREED) | FREE) - known - built_in == others | {"exporters.*.every_seconds"}

"""Installed plugins: what the metadata says of them, importing them, and the catalogue that others ask."""

from orchestrator.plugins.catalogue import Catalogue
from orchestrator.plugins.parts import has_part, part
from orchestrator.plugins.plugin_status import DISABLE, DISTRIBUTION, GROUPS, RAISE, STRICT, PluginEntry, PluginStatus

__all__ = [
    "DISABLE",
    "DISTRIBUTION",
    "GROUPS",
    "RAISE",
    "STRICT",
    "Catalogue",
    "PluginEntry",
    "PluginStatus",
    "has_part",
    "part",
]

"""Trust: a spec is data until its user agrees to what it wants beside calling models.

Pure: ``capabilities`` (one thing a spec may want), ``keys`` (the keys of a spec in two columns), ``addresses``,
``wants`` (from a spec to capabilities), ``rules`` (who agrees to what). Files: ``store`` (grants that are
remembered), ``configuration`` (the user's ``config.toml``). ``admission`` puts them together for the front doors.
"""

from orchestrator.trust.admission import Admission, Ask, source_of
from orchestrator.trust.capabilities import AGREED_BY, DOING, Capability, checked_patterns, covered
from orchestrator.trust.configuration import (
    CONFIGURATION,
    Configuration,
    configuration_path,
    read_configuration,
    stricter,
)
from orchestrator.trust.rules import Weighed, listed, refusal, weigh
from orchestrator.trust.store import GrantStore
from orchestrator.trust.wants import Surroundings, VendorFacts, files_wanted, wants

__all__ = [
    "AGREED_BY",
    "CONFIGURATION",
    "DOING",
    "Admission",
    "Ask",
    "Capability",
    "Configuration",
    "GrantStore",
    "Surroundings",
    "VendorFacts",
    "Weighed",
    "checked_patterns",
    "configuration_path",
    "covered",
    "files_wanted",
    "listed",
    "read_configuration",
    "refusal",
    "source_of",
    "stricter",
    "wants",
    "weigh",
]

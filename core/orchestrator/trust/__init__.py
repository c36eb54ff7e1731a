"""Trust: a spec is data until its user agrees to what it wants beside calling models.

Pure: ``capabilities`` (one thing a spec may want), ``keys_needing_consent`` (the keys of a spec in two columns),
``addresses``, ``wanted_capabilities`` (from a spec to capabilities), ``grant_rules`` (who agrees to what). Files:
``remembered_grants``, ``user_configuration`` (``config.toml``). ``admission`` puts them together for the front doors.
"""

from orchestrator.trust.admission import Admission, Ask, source_of
from orchestrator.trust.capabilities import Capability
from orchestrator.trust.consent_sentences import AGREED_BY, DOING
from orchestrator.trust.grant_patterns import checked_patterns, covered
from orchestrator.trust.grant_rules import Weighed, listed, refusal, weigh
from orchestrator.trust.remembered_grants import GrantStore
from orchestrator.trust.user_configuration import (
    CONFIGURATION,
    Configuration,
    configuration_path,
    read_configuration,
    stricter,
)
from orchestrator.trust.wanted_capabilities import Surroundings, VendorFacts, files_wanted, wants

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

"""What is wrong with policies that bind together: contradictions, and that they leave no model known here."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.options.shared_options import home
from orchestrator.cli.running.spec_from_options import named_output
from orchestrator.engine.vendors.user_admission import admission_of
from orchestrator.errors import UsageError
from orchestrator.models import CapabilityKind
from orchestrator.policy_dsl import AnalysisReport, PolicyAnalyzer

if TYPE_CHECKING:
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.engine.vendors.provider_survey import Offers
    from orchestrator.plugins import Catalogue
    from orchestrator.policy import Policy
    from orchestrator.spec import Spec
    from orchestrator.trust import Weighed

_UNREAD = (CapabilityKind.READ, CapabilityKind.OPTION, CapabilityKind.PLUGIN)


def weighed_here(spec: "Spec", catalogue: "Catalogue", environment: "Environment") -> "Weighed":
    """What the spec wants, and what of it its user has agreed to so far."""
    return admission_of(catalogue, environment, _remembering()).weighed(spec, named_output(spec))


def _remembering() -> Path:
    """The folder of the remembered grants; where there is no home folder, none is remembered."""
    try:
        return home()
    except UsageError:
        return Path(os.devnull)


def may_build_providers(weighed: "Weighed") -> bool:
    """Whether building the spec's providers does nothing that its user has not agreed to."""
    return not any(each.kind in _UNREAD for each in weighed.missing)


def known_offers(catalogue: "Catalogue", environment: "Environment", spec: "Spec | None" = None) -> "Offers":
    """What could be asked: of the spec's providers where it names some, else of all that are installed."""
    from orchestrator.engine.vendors.provider_survey import offers_of, survey

    return offers_of(survey(catalogue, environment, spec), () if spec is None else spec.models)


def findings(policies: Sequence["Policy"], offers: "Offers | None", places: Sequence[str] = ()) -> AnalysisReport:
    """What is wrong with policies that bind together.

    Args:
        policies: all that bind one run or one node.
        offers: the models they are applied to; None: they are compared with each other only.
        places: as for ``PolicyAnalyzer``.
    """
    from attrs import evolve

    report = PolicyAnalyzer.analyze(policies, places)
    guilty = () if offers is None or not report.is_clean() else offers.ruled_out(policies)
    if offers is None or not guilty:
        return report
    last = max(number for number, policy in enumerate(policies) if policy in guilty)
    start = f"{places[last]}: " if places else ""
    return evolve(
        report, warnings=(f"{start}{_names(guilty)} none of the {len(offers.models)} models that are known here",)
    )


def _names(policies: Iterable["Policy"]) -> str:
    *others, last = (repr(name) for name in dict.fromkeys(policy.name for policy in policies))
    return f"policies {', '.join(others)} and {last} together leave" if others else f"policy {last} leaves"

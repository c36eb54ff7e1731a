"""Laws of policies beyond removal: which models rank last, which violations are recorded, what a task may cost."""

from attrs import define

from orchestrator import events as e
from orchestrator.decide.compliance import binding, caps_of, violations
from orchestrator.models import RejectionReason, SelectionReason
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator_audit.laws.shadow_state import ShadowState


@define
class Governance(ShadowState):
    """SOFT and MONITOR policies, and caps on the cost of a task."""

    def tells_violations(self, event: e.ModelSelected) -> None:
        """Each candidate carries what it violates; who violates a SOFT policy is chosen only where all others do."""
        soft: set[str] = set()
        for candidate in event.candidates:
            broken, is_soft = self._violations(candidate.model, event.node)
            if is_soft:
                soft.add(candidate.model)
            reported = candidate.violates == broken
            self.require(
                "policies", reported, f"{candidate.model} violates {broken}, the event says {candidate.violates}"
            )
        if event.reason is not SelectionReason.REASK and self._violations(event.model, event.node)[1]:
            better = [
                each.model
                for each in event.candidates
                if each.rejection is RejectionReason.RANKED and each.model not in soft
            ]
            self.require("policies", not better, f"{event.model} violates a SOFT policy, {better} do not")

    def _violations(self, name: str, node: str) -> tuple[tuple[str, ...], bool]:
        model, policies = self.models.get(name), binding(self.state.settings, node)
        if model is None or self.session is None:
            return (), False
        slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == name]
        return violations(policies, model, slots, self.state.records.get(name))

    def keeps_the_caps(self, event: e.CallStarted) -> None:
        """With what is in flight and this hold, a task stays within its HARD caps; milder ones are recorded."""
        in_flight = sum(call.hold.nano for call in self.calls_in_flight if call.node == event.node)
        worst = self.by_node.get(event.node, Usd.ZERO) + Usd(in_flight)
        caps = caps_of(self.state.settings, event.node, is_task=event.node in self.planned)
        beyond = [policy for policy, cap in caps if worst > cap]
        hard = [policy.name for policy in beyond if policy.enforcement_mode is EnforcementMode.HARD]
        self.require("policies", not hard, f"{event.node} may cost {worst}, more than {hard} allow")
        mild = {policy.name for policy in beyond if policy.enforcement_mode is not EnforcementMode.HARD}
        paced = {policy.name for policy in binding(self.state.settings, event.node) if _is_mild_rate(policy)}
        reported = mild <= set(event.violates) <= mild | paced
        self.require("policies", reported, f"the call violates {sorted(mild)}, the event says {event.violates}")


def _is_mild_rate(policy: Policy) -> bool:
    return policy.rate_limit is not None and policy.enforcement_mode is not EnforcementMode.HARD

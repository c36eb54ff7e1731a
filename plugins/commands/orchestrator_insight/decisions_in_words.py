"""Decisions in words, for the terminal, the report and the web application: candidates, and why each was rejected."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from orchestrator.cli.kit import (
    DOING,
    REMOVED,
    SELECTED,
    UNMEASURED,
    forbidden,
    money,
    restricted,
    timestamp,
    verification,
)
from orchestrator.models import Lane, RejectionReason, Role, SpendLimit, Verdict, Waiver, is_comparison, sample_words
from orchestrator.money import Price, Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator_insight.explained_choices import (
    AttemptSeen,
    BackendFallback,
    ConsideredModel,
    Explained,
    ModelChoice,
    NoCandidateLeft,
    PlanRemarks,
    ResultsCompared,
    ScoreGiven,
    SpendRefusal,
    VerifiedResult,
)
from orchestrator_insight.page_values import NONE, duration

WAIVED: Final[Mapping[Waiver, str]] = {
    Waiver.SAME_VENDOR: "waived: it is of the author's vendor (another tier); no model of another vendor is left",
    Waiver.SAME_TIER: "waived: it is of the author's vendor and tier; none of another vendor or a higher tier is left",
    Waiver.SAME_MODEL: "waived: it is the author itself; no other model of its tier or above is left",
    Waiver.LOWER_TIER: "waived: it is of the author's vendor and a lower tier; no other model is left",
}
LIMITS: Final[Mapping[SpendLimit, str]] = {
    SpendLimit.RUN: "the run's ceiling",
    SpendLimit.ENHANCE: "the ceiling of suggestions",
    SpendLimit.ACCOUNT: "the account {name}",
    SpendLimit.POLICY: "the task's cap of policy {name!r}",
}
"""Which limit the hold did not fit, in words."""
_BACKEND: Final = {"dominated": "another model is better in quality, trust and cost at once"}
"""What a backend says of a candidate, in words."""


@frozen
class CandidateShown:
    """A model that was considered, each fact in words."""

    model: str
    is_chosen: bool
    vendor: str
    price: str
    """Input / output, in US dollars per million tokens."""
    calls: str
    quality: str
    trust: str
    cost: str
    latency: str
    score: str
    """The backend's."""
    why: str
    """What removed it, or that it was chosen; and the milder policies it violates."""
    policy: str | None = None
    """The name of the policy that removed it."""


@frozen
class DecisionShown:
    """One decision in words.

    Attributes:
        version: of its event.
        at: microseconds UTC.
        kind: ``choice``, ``refusal``, ``no_candidate``, ``plan``, ``comparison``, ``score``, ``verification`` or
            ``backend_failed``.
        node: what it concerns; empty: the run.
        what: the decision in a few words.
        type: of the task, where a model was chosen for one.
        model: the one that was chosen; None where none was to be.
        remarks: why, a line each.
        candidates: every model that was considered.
        attempts: what became of each call of the chosen model, a line each.
    """

    version: int
    at: int
    kind: str
    node: str
    what: str
    type: str = ""
    model: str | None = None
    remarks: tuple[str, ...] = ()
    candidates: tuple[CandidateShown, ...] = ()
    attempts: tuple[str, ...] = ()


def shown(each: Explained) -> DecisionShown:
    """A decision in words."""
    match each:
        case ModelChoice():
            return _choice(each)
        case SpendRefusal():
            return DecisionShown(each.version, each.at, "refusal", each.node, _what(each), remarks=(refused(each),))
        case NoCandidateLeft():
            rows = tuple(_candidate(seen, is_chosen=False, why=removal(seen)) for seen in each.considered)
            what = f"{DOING[each.role]}: no model is left"
            return DecisionShown(each.version, each.at, "no_candidate", each.node, what, candidates=rows)
        case VerifiedResult():
            limit = () if each.event.verdict is Verdict.PASSED else ("so the run ends as PARTIAL_SUCCESS at best",)
            what = f"verification {verification(each.event)}"
            return DecisionShown(each.version, each.at, "verification", each.node, what, remarks=limit)
        case PlanRemarks():
            return DecisionShown(each.version, each.at, "plan", each.node, "the plan is made", remarks=each.remarks)
        case ResultsCompared():
            what = "a result is chosen"
            return DecisionShown(each.version, each.at, "comparison", each.node, what, remarks=each.remarks)
        case ScoreGiven():
            return DecisionShown(each.version, each.at, "score", each.node, each.remarks[0])
        case BackendFallback():
            what = f"the backend {each.backend} failed ({each.problem})"
            said = ("the routing table's order is used for the rest of the session",)
            return DecisionShown(each.version, each.at, "backend_failed", "", what, remarks=said)


def _what(each: ModelChoice | SpendRefusal) -> str:
    iteration = f", iteration {each.iteration}" if each.iteration > 1 else ""
    return f"{DOING[each.role]}{iteration}{sample_words(each.sample)}"


def refused(each: SpendRefusal) -> str:
    """Which limit had too little for a call, in words."""
    limit = LIMITS[each.limit].format(name=each.name)
    end = "refused" if each.final else "not now"
    return f"{end}: a call needs {money(each.need)} at worst, {limit} has {money(each.free)} free"


def _choice(choice: ModelChoice) -> DecisionShown:
    rows = tuple(
        _candidate(seen, is_chosen=seen.model == choice.model, why=why(choice, seen)) for seen in choice.considered
    )
    return DecisionShown(
        version=choice.version,
        at=choice.at,
        kind="choice",
        node=choice.node,
        what=_what(choice),
        type="" if choice.type is None else choice.type.value,
        model=choice.model,
        remarks=(sentence(choice), *_remarks(choice)),
        candidates=rows,
        attempts=tuple(_attempt(seen) for seen in choice.attempts),
    )


def _remarks(choice: ModelChoice) -> Sequence[str]:
    said = [] if choice.waiver is None else [WAIVED[choice.waiver]]
    if choice.too_long is not None and not choice.attempts:
        tokens, window = choice.too_long
        said.append(f"not called: its prompt of about {tokens} tokens does not fit its context window of {window}")
    if choice.reused is not None:
        found = choice.reused
        size = f"{found.answer_bytes} bytes of event v{found.call} of {found.run}"
        said.append(f"answered from the cache, no model was called and nothing was paid: {size}")
    return said


def sentence(choice: ModelChoice) -> str:
    """Why the model was chosen, and what ordered the candidates, in one sentence."""
    return f"{_reason(choice)}; {_ordered_by(choice)}{_preferred(choice)}"


def _reason(choice: ModelChoice) -> str:
    if choice.policy is not None:
        return f"the model before it did not fit the task's cap of policy {choice.policy!r}"
    return SELECTED[choice.reason]


def _ordered_by(choice: ModelChoice) -> str:
    backend = choice.backend
    if choice.chain:
        return f"ordered by the chain {' → '.join(choice.chain)}, then by price"
    if backend is None:
        return "ordered by price" if choice.type is None else "ordered by the routing table, then by price"
    given = ", ".join(f"{name}={value}" for name, value in backend.parameters.items())
    origin = ", an object passed from Python"
    if backend.distribution:
        origin = f" {backend.version} of {backend.distribution}"
    unmeasured = "" if any(each.telemetry.calls for each in choice.considered) else f"; {UNMEASURED}"
    return f"ordered by {backend.name}{origin}" + (f" with {given}" if given else "") + unmeasured


def _preferred(choice: ModelChoice) -> str:
    """What comes before that order, for those who work on what another model wrote."""
    if choice.author is None:
        return ""
    if choice.role is Role.REVISER:
        return f"; first the author ({choice.author})"
    last = "; those that wrote one of the two come last" if is_comparison(choice.sample) else ""
    return f"; first the models of other vendors than the author's ({choice.author}){last}"


def _candidate(seen: ConsideredModel, *, is_chosen: bool, why: str) -> CandidateShown:
    known = seen.telemetry
    return CandidateShown(
        model=seen.model,
        is_chosen=is_chosen,
        vendor=seen.vendor or NONE,
        price=_priced(seen.price),
        calls=str(known.calls),
        quality=_number(known.quality, ".3f"),
        trust=_number(known.trust if known.calls else None, ".3f"),
        cost=NONE if known.cost is None else money(Usd.rounded(known.cost)),
        latency=NONE if known.latency_ms is None else duration(round(known.latency_ms * 1000)),
        score=_number(seen.score, ".6g"),
        why=why,
        policy=seen.policy_name,
    )


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else f"{value:{form}}"


@lru_cache(maxsize=256)  # the same few prices stand beside every candidate of every decision
def _priced(price: Price | None) -> str:
    return NONE if price is None else f"{price.input.trimmed}/{price.output.trimmed}"


def why(choice: ModelChoice, candidate: ConsideredModel) -> str:
    """What removed a candidate, or that it was chosen, in words; and the milder policies it violates."""
    if candidate.rejection is None:
        words = "chosen" if candidate.model == choice.model else ""
    elif candidate.rejection is RejectionReason.RANKED:
        words = REMOVED[candidate.rejection]
        if _is_of_author(choice, candidate):
            words += " (same vendor as the author)"
        said = _BACKEND.get(candidate.reason, candidate.reason)
        words += f": {said}" if said else ""
    else:
        words = removal(candidate)
    return "; ".join(each for each in (words, *(_violated(policy) for policy in candidate.violates)) if each)


def removal(candidate: ConsideredModel) -> str:
    """What removed a candidate, in words."""
    if candidate.policy_name is not None:
        return forbidden(candidate.policy_name, candidate.policy, candidate.undeclared)
    words = "" if candidate.rejection is None else REMOVED[candidate.rejection]
    if candidate.trouble:
        words += f" ({', '.join(candidate.trouble)})"
    return words if candidate.until is None else f"{words} until {timestamp(candidate.until)}"


def _violated(policy: Policy) -> str:
    means = "so it ranks last" if policy.enforcement_mode is EnforcementMode.SOFT else "recorded only"
    return f"violates policy {policy.name!r} ({restricted(policy)}), {means}"


def _is_of_author(choice: ModelChoice, candidate: ConsideredModel) -> bool:
    """Whether a reviewer ranks lower because it is of the author's vendor, and the chosen one is not."""
    if choice.role not in (Role.CRITIC, Role.EVALUATOR) or choice.waiver is not None:
        return False
    vendors = {each.model: each.vendor for each in choice.considered}
    return candidate.vendor == vendors.get(choice.author or "") != vendors[choice.model]


def _attempt(seen: AttemptSeen) -> str:
    """The result of a call and of its hold."""
    size = f"at most {seen.max_tokens} tokens" + (", once more after a cut" if seen.larger else "")
    lane = "" if seen.lane is Lane.INTERACTIVE else ", in a batch"
    text = f"attempt {seen.attempt}: held {money(seen.hold)} for {size}{lane}; "
    match seen.end:
        case "in flight":
            return text + "still in flight"
        case "settled":
            text += f"cost {money(seen.cost)}"
        case "unreconciled":
            text += f"{money(seen.cost)} unreconciled, because its cost is unknown"
        case _:
            text += "released, nothing was billed"
    if seen.usage is not None:
        text += f", {seen.usage.input_tokens} tokens read and {seen.usage.output_tokens} written"
    if seen.violates:
        text += f", beyond what policy {', '.join(map(repr, seen.violates))} allows"
    if seen.cut_off:
        text += ", cut off at its limit"
    if seen.error is not None:
        text += f"; failed: {seen.error.value}"
    return text + ("" if seen.latency is None else f", {duration(seen.latency)}")

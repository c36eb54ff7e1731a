"""How documents spell the program's own values: policies, models, prices, evaluation."""

from typing import Any, Final

from orchestrator.models import JudgeMethod, ModelInfo, TaskType
from orchestrator.money import Price, Rate
from orchestrator.policy import EnforcementMode, Policy, RateLimit, Retention
from orchestrator.settings import Evaluation, OnDisagree, SecondJudge
from orchestrator.spec.container_kinds import FreeMapping, Key, ListOf, MapOf, Record
from orchestrator.spec.times import Age, Date, Hours, Timestamp, Weekdays
from orchestrator.spec.value_kinds import NAME, Choice, Flag, Money, NameOf, Place, Real, Reference, Whole

TASK_TYPES: Final = {kind.value: kind for kind in TaskType}
"""Task types by name."""

NAMES: Final = ListOf(NAME)
"""A list of names."""

PARTIES: Final = ListOf(Reference(NameOf.PARTY))
MODEL_NAMES: Final = ListOf(Reference(NameOf.MODEL))

_TOKENS: Final = Whole(1, 100_000_000)
_TOKEN_CLASS: Final = Money()

RATE_LIMIT: Final = Record(
    RateLimit,
    {
        "calls_per_minute": Key(Whole(1, 1_000_000), "Calls that may start within a minute."),
        "cost_usd_per_hour": Key(Money(), "US dollars that calls starting within an hour may cost, at worst."),
        "tokens_per_day": Key(Whole(1, 10**12), "Tokens that calls starting within a day may read and write."),
    },
)
"""How often and how much may be asked under a policy."""

POLICY: Final = Record(
    Policy,
    {
        "name": Key(NAME, "What the policy is called in reports."),
        "allowed_providers": Key(PARTIES, "Only these providers (instances or types) or vendors may be asked."),
        "blocked_providers": Key(PARTIES, "These providers (instances or types) or vendors are not asked."),
        "allowed_models": Key(MODEL_NAMES, "Only these models or slots may be asked."),
        "blocked_models": Key(MODEL_NAMES, "These models or slots are not asked."),
        "allowed_regions": Key(
            ListOf(Reference(NameOf.REGION)), "Only models declared for one of these regions may be asked."
        ),
        "allow_training_on_output": Key(Flag(), "false: only models declared not to train on data may be asked."),
        "max_cost_per_task_usd": Key(Money(), "The most the calls of one task may cost together, in US dollars."),
        "max_latency_ms": Key(Real(0, 1e9, above=True), "The most the p95 latency measured in the run may be."),
        "rate_limit": Key(RATE_LIMIT, "How often and how much may be asked; what is beyond it waits."),
        "enforcement_mode": Key(
            Choice(EnforcementMode),
            "What a violation means. hard: not asked; soft: asked after all others; monitor: written down.",
        ),
    },
    later=frozenset({"pii_allowed"}),
)
"""One policy. A field that nothing enforces yet is refused by name."""

POLICIES: Final = ListOf(POLICY, most=1000)

RETENTION: Final = Record(
    Retention,
    {
        "keep": Key(Age(), "How long texts are kept after a run's last event, such as 180d; left out: for ever."),
        "hold": Key(ListOf(NAME, most=10_000), "Runs whose texts are kept whatever their age."),
    },
)
"""How long the texts of runs are kept."""

NODE_POLICIES: Final[MapOf[str, tuple[Policy, ...]]] = MapOf(POLICIES)
"""Policies by the node they bind."""

_TOKEN_CLASSES: Final = {
    "input": Key(_TOKEN_CLASS, "US dollars per million fresh input tokens."),
    "output": Key(_TOKEN_CLASS, "US dollars per million output tokens."),
    "cached_input": Key(_TOKEN_CLASS, "Input read from the vendor's cache; left out: as input.", required=False),
    "cache_write": Key(_TOKEN_CLASS, "Input written to the vendor's cache; left out: as input.", required=False),
    "reasoning": Key(_TOKEN_CLASS, "Thinking tokens; left out: as output.", required=False),
}


def _rate(
    over: int = 0,
    since: int | None = None,
    hours: tuple[int, ...] = (),
    days: tuple[int, ...] = (),
    **token_classes: Any,
) -> Rate:
    if not (over or since is not None or hours or days):
        raise ValueError("a rate needs a condition: over, since, hours or days; without one it is the price itself")
    return Rate(over=over, since=since, hours=hours, days=days, **token_classes)


class _RateRecord(Record[Rate]):
    """A rate: its schema also says that there is a condition."""

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        given = {"over": "integer", "since": "string", "hours": "string", "days": "string"}
        some = [{"required": [name], "properties": {name: {"type": kind}}} for name, kind in given.items()]
        return super().schema() | {"anyOf": some}


RATE: Final = _RateRecord(
    Rate,
    {
        **_TOKEN_CLASSES,
        "over": Key(_TOKENS, "Holds where more tokens than this were read; then for the whole call.", required=False),
        "since": Key(Timestamp(), "Holds from this date (UTC) or moment on.", required=False),
        "hours": Key(Hours(), 'Holds between these times of the UTC day, such as "16:30-00:30".', required=False),
        "days": Key(Weekdays(), "Holds on these weekdays (UTC), such as mon-fri.", required=False),
    },
    make=_rate,
)
"""Token classes that replace a price's usual ones while all of its conditions are met."""

PRICE: Final = Record(
    Price,
    {
        **_TOKEN_CLASSES,
        "rates": Key(
            ListOf(RATE, most=100), "What it costs instead at times or above sizes; the last that holds counts."
        ),
    },
)


def _model(id: str, provider: str, vendor: str | None = None, **facts: Any) -> ModelInfo:  # noqa: A002 - the document's key
    return ModelInfo(id=id, provider=provider, vendor=vendor or provider, **facts)


MODEL: Final = Record(
    ModelInfo,
    {
        "id": Key(NAME, "The name a run, a policy and the log use."),
        "provider": Key(Reference(NameOf.PROVIDER), "The provider that speaks to it: its name under providers."),
        "price": Key(PRICE, "US dollars per million tokens; a model without a price is not asked."),
        "batch_price": Key(PRICE, "The same in batches; left out: half, where its vendor is known to sell batches."),
        "context": Key(_TOKENS, "The context window in tokens."),
        "max_output": Key(_TOKENS, "The most tokens one answer can have."),
        "max_input": Key(_TOKENS, "The most tokens a prompt can have, where that is less than the context window."),
        "price_date": Key(Date(), "The day on which the price was last known to hold; told when it is long ago."),
        "hidden_tokens": Key(Whole(0, 1_000_000), "Tokens the vendor may add to the input."),
        "thinking_in_limit": Key(Flag(), "Whether thinking counts inside the max_tokens that is sent."),
        "effort": Key(NAME, "How much it is asked to think, in the vendor's word."),
        "thinking_tokens": Key(
            MapOf(Whole(0, 1_000_000)),
            "Tokens of room for its thinking, by effort; default where none is said.",
        ),
        "tier": Key(NAME, "The vendor's size class."),
        "slots": Key(ListOf(Reference(NameOf.SLOT)), "The names of the routing table that this model fills."),
        "trains_on_data": Key(Flag(), "Whether the vendor trains on what it is sent."),
        "regions": Key(NAMES, "Where it runs."),
        "abilities": Key(NAMES, "What else it can do."),
        "vendor": Key(NAME, "The company; left out: the provider's name.", required=False),
        "wire_name": Key(NAME, "The name sent to the vendor, where it is another one."),
    },
    make=_model,
)


def _distinct(models: dict[int, ModelInfo], raw: list[Any], at: Place) -> None:
    seen: set[tuple[str, str]] = set()
    for place, model in models.items():
        if (model.provider, model.id) in seen:
            at.below(place).below("id").report(f"a model {model.id!r} of {model.provider} stands above already")
        seen.add((model.provider, model.id))


MODELS: Final = ListOf(MODEL, most=1000, check=_distinct)


def _evaluation(**given: Any) -> Evaluation:
    made = Evaluation(**given)
    if made.scorer is None and (made.parameters or made.with_judge):
        raise ValueError("parameters and with_judge belong to a scorer; name one: scorer: NAME")
    if made.scorer is not None and made.judge is JudgeMethod.PAIRS:
        raise ValueError("a scorer gives scores, and judge: pairs compares results; take one of them out")
    return made


EVALUATION: Final = Record(
    Evaluation,
    {
        "runs": Key(Whole(1, 20), "How many evaluations score an output."),
        "max_delta": Key(Real(0, 1), "Scores within this of each other are averaged."),
        "on_disagree": Key(Choice(OnDisagree), "Which score counts otherwise."),
        "second": Key(Choice(SecondJudge), "Which model gives the second evaluation."),
        "tests_decide": Key(Flag(), "Whether given tests that all pass are the score."),
        "judge": Key(
            Choice(JudgeMethod),
            "How results are evaluated that no given tests decide. scores: each gets a score, the first that is good"
            " enough is taken; pairs: all samples are made and compared in pairs, and the best one gets a score.",
        ),
        "scorer": Key(Reference(NameOf.SCORER), "The plugin that gives the score, in place of a judge."),
        "parameters": Key(FreeMapping(), "What the scorer is built with; it knows what they mean."),
        "with_judge": Key(Flag(), "Whether a judge evaluates once, too; its score counts where the scorer gives none."),
    },
    make=_evaluation,
)

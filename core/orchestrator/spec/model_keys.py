"""The keys of models and of their prices, as specs and models files have them."""

from typing import Any, Final

from orchestrator.models import ModelInfo
from orchestrator.money import Price, Rate
from orchestrator.spec.container_kinds import NAMES, Key, ListOf, MapOf, Record
from orchestrator.spec.times import Date, Hours, Timestamp, Weekdays
from orchestrator.spec.value_kinds import NAME, Flag, Money, NameOf, Place, Reference, Whole

_TOKENS: Final = Whole(1, 100_000_000)
_TOKEN_CLASS: Final = Money()

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

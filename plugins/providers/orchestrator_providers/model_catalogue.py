"""Models as data: what a vendor lists, put together with published prices, the date, and what the user declares.

Prices come from ``genai-prices``, which is read offline and only when a provider is built; a model it does not know has
the price that the vendor's own list gives, or none, and is then refused by the program.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from attrs import Factory, evolve, fields, frozen

from orchestrator.spi import ModelInfo, Price, ProviderConfig, Rate, SpecError, Usd

_HORIZON: Final = timedelta(days=7)
"""A price that begins later than this is not looked at: no session lasts so long."""

Clock = Callable[[], datetime]


@frozen
class Listed:
    """One model of a vendor's list that chats: text in, text out. Dates are ISO 8601 and exclusive."""

    id: str
    slots: tuple[str, ...] = ()
    """The specification's names it fills, in competition with the models listed before it: the newest come first."""
    tier: str = "standard"
    abilities: tuple[str, ...] = ()
    context: int | None = None
    """The context window; None: as the price list says."""
    max_output: int | None = None
    max_input: int | None = None
    """The most tokens of a prompt; None: as many as the context window has."""
    wire_name: str | None = None
    until: str | None = None
    """The day it is shut down."""
    instead: str | None = None
    """The model to use after that day."""
    thinking: Mapping[str, int] = Factory(dict)
    """Room for its thinking by effort, in tokens, where it is not its vendor's usual one."""
    retires: str | None = None
    """The month in which it is said to end, where the vendor has told no day; until then it is offered."""
    is_open: bool = True
    """Whether everybody may call it; one that is closed to new accounts, or for some only, fills no slot."""
    price: Price | None = None
    """The price where the price list has none, with ``price_source``."""
    price_source: str = ""

    def is_served(self, day: str, served: Collection[str] | None) -> bool:
        """Whether it can be called on a day, at an address that lists these names; None: at the vendor's own."""
        if served is not None:
            return (self.wire_name or self.id) in served
        return self.until is None or day < self.until


@frozen
class Catalogue:
    """A vendor's list, and where its facts come from."""

    vendor: str
    checked: str
    """The day the list and its prices were compared with the vendor's documentation."""
    models: tuple[Listed, ...]
    retired: Mapping[str, str]
    """Names the vendor no longer serves, and the model to use instead."""
    price_list: str
    """The vendor's name in ``genai-prices``."""
    regions: tuple[str, ...] = ()
    trains_on_data: bool | None = None
    effort: str | None = None
    """What the models with the ability ``effort`` are asked for, in the vendor's word: the lowest sensible."""
    thinking: Mapping[str, int] = Factory(dict)
    """Room for the thinking of those with the ability ``reasoning`` by effort, in tokens; ``default`` without one."""
    peak_days: tuple[int, ...] = ()
    """The weekdays on which rates by the hour hold, where the price list cannot say so; none: every day."""

    def today(
        self,
        config: ProviderConfig,
        clock: Clock = lambda: datetime.now(UTC),
        served: Collection[str] | None = None,
    ) -> tuple[ModelInfo, ...]:
        """The models that are served now, as the user's declarations override and add to them.

        ``served`` are the names that the address lists, where it is not the vendor's own.
        """
        now = clock()
        day, taken = now.date().isoformat(), set[str]()
        known: dict[str, ModelInfo] = {}
        names = {slot for listed in self.models for slot in listed.slots}
        for listed in self.models:
            if listed.is_served(day, served):
                model = self._info(config.name, listed, now)
                may_fill = model.price is not None and (listed.is_open or served is not None)
                slots = tuple(slot for slot in listed.slots if slot not in taken and may_fill)
                taken.update(slots)
                if listed.id in names and listed.id not in slots:  # the name stands for the model that fills the slot
                    model = evolve(model, id=f"{config.name}/{listed.id}", wire_name=model.sent_name)
                known[model.id] = evolve(model, slots=slots)
        for declared in config.models:
            found = known.pop(declared.id, None) or known.pop(f"{config.name}/{declared.id}", None)
            known[declared.id] = self._declared(declared, now) if found is None else overridden(found, declared)
        return tuple([with_effort(each, config, self.effort) for each in known.values()])

    def retired_now(self, clock: Clock = lambda: datetime.now(UTC)) -> dict[str, str]:
        """Every name that is no longer served, and the model to use instead."""
        day = clock().date().isoformat()
        gone = {each.id: each.instead for each in self.models if each.until is not None and each.until <= day}
        return {**self.retired, **{name: instead for name, instead in gone.items() if instead is not None}}

    def _info(self, provider: str, listed: Listed, now: datetime) -> ModelInfo:
        price, context, source = self._published(listed.wire_name or listed.id, now)
        if price is None and listed.price is not None:
            price, source = listed.price, f"price: {listed.price_source}"
        context = listed.context or context
        return ModelInfo(
            id=listed.id,
            provider=provider,
            vendor=self.vendor,
            price=price,
            context=context,
            max_output=listed.max_output,
            max_input=listed.max_input or context,
            tier=listed.tier,
            regions=self.regions,
            trains_on_data=self.trains_on_data,
            abilities=listed.abilities,
            wire_name=listed.wire_name,
            thinking_tokens=dict(listed.thinking or self.thinking) if "reasoning" in listed.abilities else {},
            source=f"{self.vendor} list of {self.checked}; {source}",
            price_date=None if price is None else self.checked,
            retires=listed.until or listed.retires,
        )

    def _published(self, model: str, now: datetime) -> tuple[Price | None, int | None, str]:
        price, context, source = published(self.price_list, model, now)
        if price is not None and self.peak_days:
            rates = [evolve(rate, days=self.peak_days) if rate.hours else rate for rate in price.rates]
            price = evolve(price, rates=tuple(rates))
        return price, context, source

    def _declared(self, declared: ModelInfo, now: datetime) -> ModelInfo:
        """A model of the user that the list lacks: its price, where the user gives none, from the price list."""
        if declared.price is not None:
            return declared
        price, context, source = self._published(declared.sent_name, now)
        return evolve(
            declared,
            price=price,
            price_date=declared.price_date or (None if price is None else self.checked),
            context=declared.context or context,
            source=f"{declared.source}; {source}".strip("; "),
        )

    def named(
        self, config: ProviderConfig, name: str, slot: str, models: Iterable[ModelInfo], source: str
    ) -> tuple[ModelInfo, ...]:
        """The models with ``name`` in a slot, alone; one that the list lacks is added with its published price.

        Raises:
            SpecError: the name is retired.
        """
        gone = self.retired_now()
        if name in gone:
            raise SpecError([f"{source}: {name} is no longer served; use {gone[name]}"])
        found = {each.id: evolve(each, slots=tuple(s for s in each.slots if s != slot)) for each in models}
        if name not in found:
            found[name] = self._declared(ModelInfo(name, config.name, self.vendor), datetime.now(UTC))
        found[name] = evolve(found[name], slots=(*found[name].slots, slot))
        return tuple(found.values())


def with_effort(model: ModelInfo, config: ProviderConfig, usual: str | None) -> ModelInfo:
    """The model with its effort, where it takes one: as declared, else as the spec says of the provider, else usual."""
    if model.effort is not None or "effort" not in model.abilities:
        return model
    return evolve(model, effort=config.options.get("effort") or usual)


def in_region(models: Iterable[ModelInfo], region: str) -> tuple[ModelInfo, ...]:
    """The models of a vendor's host: those in China are in the region ``cn``, where no other is declared."""
    if region != "china":
        return tuple(models)
    return tuple(evolve(each, regions=each.regions or ("cn",)) for each in models)


def overridden(known: ModelInfo, declared: ModelInfo) -> ModelInfo:
    """The known facts of a model with those that were declared in their place.

    A vendor that is called like the provider is what stands where none was declared. A price of the user's has no date
    but the user's.
    """
    if declared.price is not None:
        known = evolve(known, price_date=None)
    given = {
        each.name: getattr(declared, each.name)
        for each in fields(ModelInfo)
        if getattr(declared, each.name) != _default(each.default)
    }
    return evolve(
        known, **{**given, "vendor": known.vendor if declared.vendor == declared.provider else declared.vendor}
    )


def _default(default: Any) -> Any:
    return default.factory() if hasattr(default, "factory") else default


def published(vendor: str, model: str, now: datetime) -> tuple[Price | None, int | None, str]:
    """A model's price and context window in ``genai-prices``, and where they stand; None for what it lacks."""
    import genai_prices
    from genai_prices.data import providers

    source = f"genai-prices {genai_prices.__version__}"
    found = next((each for each in providers if each.id == vendor), None)
    entry = None if found is None else found.find_model(model)
    if entry is None:
        return None, None, f"{source} has no price"
    return price_of(entry.prices, now), entry.context_window, f"price: {source}, {now.date().isoformat()}"


def price_of(prices: Any, now: datetime) -> Price | None:
    """The price that holds now, with its rates by hour, by size, and those that begin within a week."""
    base: Any = None
    rates: list[Rate] = []
    for given, when in _conditions(prices):
        since = when.get("since")
        if since is not None and since > now + _HORIZON:
            continue
        if not when.get("hours") and (since is None or since <= now):
            base, rates = given, []
        else:
            rates.append(_rate(given, 0, since, when.get("hours", ())))
        starts = sorted(
            {
                tier.start
                for token_class in _TOKEN_CLASSES
                if (value := getattr(given, token_class, None))
                for tier in _tiers(value)
            }
        )
        rates += [
            _rate(given, start, None if since is None or since <= now else since, when.get("hours", ()))
            for start in starts
        ]
    if base is None or getattr(base, "input_mtok", None) is None or getattr(base, "output_mtok", None) is None:
        return None
    usual = _rate(base, 0, None, ())
    return Price(usual.input, usual.output, usual.cached_input, usual.cache_write, usual.reasoning, tuple(rates))


_TOKEN_CLASSES: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def _conditions(prices: Any) -> Sequence[tuple[Any, dict[str, Any]]]:
    """Each set of prices with what it depends on, in the order in which later ones count before earlier ones."""
    if not isinstance(prices, list):
        return [(prices, {})]
    found = []
    for each in prices:
        constraint, when = each.constraint, dict[str, Any]()
        if hasattr(constraint, "start_date"):
            when["since"] = datetime.combine(constraint.start_date, datetime.min.time(), UTC)
        elif hasattr(constraint, "start_time"):
            when["hours"] = (_minute(constraint.start_time), _minute(constraint.end_time))
        found.append((each.prices, when))
    return found


def _minute(time: Any) -> int:
    at = datetime.combine(datetime(2000, 1, 2), time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    return at.hour * 60 + at.minute


def _tiers(value: Any) -> Sequence[Any]:
    return getattr(value, "tiers", ())


def _rate(prices: Any, over: int, since: datetime | None, hours: tuple[int, ...]) -> Rate:
    def token_class(name: str, otherwise: Usd) -> Usd:
        value = getattr(prices, name, None)
        return otherwise if value is None else Usd.parse(_amount(value, over))

    read, output = token_class("input_mtok", Usd.ZERO), token_class("output_mtok", Usd.ZERO)
    return Rate(
        input=read,
        output=output,
        cached_input=token_class("cache_read_mtok", read),
        cache_write=token_class("cache_write_mtok", read),
        reasoning=output,
        over=over,
        since=None if since is None else round(since.timestamp()) * 1_000_000,
        hours=hours,
    )


def _amount(value: Any, over: int) -> Decimal:
    """The price in the tier that holds for more than ``over`` tokens."""
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in sorted(value.tiers, key=lambda tier: tier.start) if tier.start <= over and over]
    return Decimal(reached[-1] if reached else value.base)

"""Models as data: what each vendor lists, its prices, and what the date changes."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from genai_prices.data import providers as published_by
from genai_prices.types import ModelPrice

from orchestrator.models import SLOTS
from orchestrator.money import Usage, Usd
from orchestrator_providers import anthropic, deepseek, google, kimi, minimax, openai, zhipu
from orchestrator_providers.catalogue import Catalogue, price_of, published
from tests.plugins.providers.calls import a_config
from tests.plugins.providers.vendors import VENDORS, built

CATALOGUES: dict[str, Catalogue] = {
    each.__name__.rpartition(".")[2]: each.CATALOGUE
    for each in (openai, anthropic, google, kimi, deepseek, minimax, zhipu)
}
TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(2027, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", VENDORS)
def test_every_listed_model_has_a_price_a_source_and_a_bound(name: str) -> None:
    """No model that a vendor lists is refused for want of a fact."""
    models = CATALOGUES[name].today(a_config(name=name, models=()), lambda: TODAY)

    for model in models:
        assert model.price is not None, model.id
        assert model.price.input.nano > 0, model.id
        assert model.price.output.nano > 0, model.id
        assert model.context is not None, model.id
        assert model.tier in ("economy", "standard", "premium")
        assert model.output_bound(100) == 100
        assert "list of 2026-" in model.source
        assert "genai-prices" in model.source
        assert (model.provider, model.vendor) == (name, CATALOGUES[name].vendor)


@pytest.mark.parametrize("day", [TODAY, LATER])
def test_every_slot_of_the_specification_is_filled_once(day: datetime) -> None:
    """All twelve slots, today and after the shut-downs that are announced, each by one model."""
    filled = [
        slot
        for name, catalogue in CATALOGUES.items()
        for model in catalogue.today(a_config(name=name, models=()), lambda: day)
        for slot in model.slots
    ]
    assert sorted(filled) == sorted(SLOTS)


def test_a_slot_passes_on_when_its_model_is_shut_down() -> None:
    """From its last day on a model is no longer offered, its successor fills the slot, and its name says so."""

    def fills(slot: str, now: datetime) -> str:
        models = google.CATALOGUE.today(a_config(name="google", models=()), lambda: now)
        return next(model.id for model in models if slot in model.slots)

    before, after = datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert fills("gemini-2.5-pro", before) == "gemini-2.5-pro"
    assert fills("gemini-2.5-pro", after) == "gemini-3.8-flash"
    assert fills("gemini-2.5-flash", after) == "gemini-3.5-flash-lite"
    assert "gemini-2.5-pro" not in google.CATALOGUE.retired_now(lambda: before)
    assert google.CATALOGUE.retired_now(lambda: after)["gemini-2.5-pro"] == "gemini-3.8-flash"


@pytest.mark.parametrize("name", VENDORS)
def test_every_replacement_of_a_retired_name_is_served(name: str) -> None:
    """What a message advises is a model of the list, today and later, and no retired name is listed."""
    for now in (TODAY, LATER):
        clock = partial(datetime.fromisoformat, now.isoformat())
        served = {model.id for model in CATALOGUES[name].today(a_config(name=name, models=()), clock)}
        retired = CATALOGUES[name].retired_now(clock)
        assert retired
        assert set(retired.values()) <= served
        assert not set(retired) & served


@pytest.mark.parametrize("name", VENDORS)
def test_what_is_known_of_training_is_only_what_is_known(name: str) -> None:
    """No vendor is said not to train on data without a published promise."""
    expected = {"openai": False, "anthropic": False}.get(name)
    assert {model.trains_on_data for model in built(name).models()} == {expected}


def test_the_page_on_providers_says_what_is_true() -> None:
    """Every key, address and host variable, every slot and every model that fills one stands on the page."""
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    for name, reached in VENDORS.items():
        variables = {reached.key, reached.address}
        models = CATALOGUES[name].today(a_config(name=name, models=()), lambda: LATER)
        filling = {model.id for model in models if model.slots} | {slot for model in models for slot in model.slots}
        abilities = {ability for model in models for ability in model.abilities}
        missing = [word for word in (*variables, *filling, *abilities) if f"`{word}`" not in page]
        assert not missing


# ── published prices ───────────────────────────────────────────────────────────────────────────────────────────


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    """A moment of 2026 in microseconds UTC."""
    return round(datetime(2026, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


def test_deepseeks_price_depends_on_the_hour() -> None:
    """Two windows of the day cost double; the bound always covers them."""
    price, context, source = published("deepseek", "deepseek-flash", TODAY)
    assert price is not None
    assert context == 1_000_000
    assert source.startswith("price: genai-prices")
    usage = Usage(input=1_000_000, output=1_000_000)

    cheap, dear = price.cost(usage, at(22, 0)), price.cost(usage, at(22, 2))
    assert dear.nano == 2 * cheap.nano
    assert [price.cost(usage, at(23, hour)) == dear for hour in (0, 1, 3, 4, 6, 9, 10, 23)] == [
        False,
        True,
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    assert price.bound(1_000_000, 1_000_000) == dear


def test_prices_by_token_class_tier_and_hour_are_those_of_the_list_itself() -> None:
    """For every listed model, at several sizes and moments, the cost is what the list's own calculation gives."""
    compared = 0
    for name, catalogue in CATALOGUES.items():
        source = next(each for each in published_by if each.id == catalogue.price_list)
        for model in catalogue.today(a_config(name=name, models=()), lambda: TODAY):
            entry = source.find_model(model.sent_name)
            assert entry is not None
            assert model.price is not None
            for hour, read in ((2, 1_000), (5, 1_000), (7, 150_000), (13, 300_000), (23, 600_000)):
                token_classes: ModelPrice = entry.get_prices(datetime(2026, 11, 22, hour, tzinfo=UTC))
                usage = Usage(input=read - 500, cached_input=500, output=700, reasoning=300)
                wanted = _listed_cost(token_classes, usage)
                assert model.price.cost(usage, at(22, hour)) == Usd(-int(-wanted // 1)), (model.id, hour, read)
                compared += 1
    assert compared > 200


def _listed_cost(token_classes: ModelPrice, usage: Usage) -> Decimal:
    """Nano-dollars of a call, by the tables of the price list."""

    def token_class(name: str, otherwise: str) -> Decimal:
        value = getattr(token_classes, name, None)
        value = getattr(token_classes, otherwise) if value is None else value
        if isinstance(value, Decimal):
            return value
        reached = [tier.price for tier in value.tiers if usage.input_tokens > tier.start]
        return Decimal(max(reached, default=value.base))

    read, output = token_class("input_mtok", "input_mtok"), token_class("output_mtok", "output_mtok")
    cached = token_class("cache_read_mtok", "input_mtok")
    return 1000 * (usage.input * read + usage.cached_input * cached + usage.output_tokens * output)


def test_a_price_that_begins_within_a_week_is_known_and_a_later_one_is_not() -> None:
    """A session lasts no week, and a bound should not be dearer for months."""
    entry = next(each for each in published_by if each.id == "google").find_model("gemini-3.8-flash")
    assert entry is not None
    far, near = price_of(entry.prices, TODAY), price_of(entry.prices, datetime(2026, 12, 30, tzinfo=UTC))
    assert far is not None
    assert near is not None
    usage = Usage(input=1_000_000)

    assert far.rates == ()
    assert near.cost(usage, at(31, 23, 59, month=12)) == far.input
    assert near.cost(usage, at(31, 24 - 1, 59, month=12) + 60_000_000) == Usd(2 * far.input.nano)


def test_what_the_list_lacks_has_no_price() -> None:
    """An unknown model or vendor is not free, and says where it was looked for."""
    assert published("openai", "gpt-99", TODAY)[0] is None
    assert published("unknown", "gpt-4o", TODAY) == (None, None, published("unknown", "x", TODAY)[2])
    assert "has no price" in published("unknown", "x", TODAY)[2]

"""Models as data: what each vendor lists, its prices, and what the date changes."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from genai_prices.data import providers as published_by
from genai_prices.types import ModelPrice

from orchestrator.models import SLOTS, ModelInfo
from orchestrator.money import Usage, Usd
from orchestrator_providers import anthropic, deepseek, google, kimi, minimax, openai, zhipu
from orchestrator_providers.model_catalogue import Catalogue, price_of, published
from tests.plugins.providers.calls import a_config
from tests.plugins.providers.vendors import VENDORS, built

CATALOGUES: dict[str, Catalogue] = {
    each.__name__.rpartition(".")[2]: each.CATALOGUE
    for each in (openai, anthropic, google, kimi, deepseek, minimax, zhipu)
}
FREE = {"glm-4.7-flash"}
"""Models the vendor asks nothing for."""

ELSEWHERE = {"gemini-4-hydrogen"}
"""Models whose price is from another list than genai-prices."""

TODAY = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = datetime(2027, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", VENDORS)
def test_every_listed_model_has_a_price_a_source_and_a_bound(name: str) -> None:
    """No model that a vendor lists is refused for want of a fact."""
    models = CATALOGUES[name].today(a_config(name=name, models=()), lambda: TODAY)

    for model in models:
        assert model.price is not None, model.id
        assert (model.price.blended.nano > 0) == (model.id not in FREE), model.id
        assert model.context is not None, model.id
        assert model.max_output is not None, model.id
        assert model.max_input is not None, model.id
        assert model.max_input <= model.context, model.id
        assert model.max_output <= model.context, model.id
        assert model.price_date == CATALOGUES[name].checked
        assert model.tier in ("economy", "standard", "premium")
        assert model.output_bound(100) == 100
        assert "list of 2026-" in model.source
        assert ("genai-prices" in model.source) == (model.id not in {*FREE, *ELSEWHERE}), model.id
        assert "2026-" in model.source.rpartition("price: ")[2]
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


def offers(name: str, now: datetime = TODAY, served: set[str] | None = None) -> dict[str, ModelInfo]:
    """What a vendor sells at a moment, by id."""
    models = CATALOGUES[name].today(a_config(name=name, models=()), lambda: now, served)
    return {model.id: model for model in models}


def fills(name: str, slot: str, now: datetime = TODAY, served: set[str] | None = None) -> str:
    """The model that fills a slot."""
    return next(model.id for model in offers(name, now, served).values() if slot in model.slots)


@pytest.mark.parametrize(
    ("name", "slot", "model"),
    [
        ("openai", "gpt-4o", "gpt-6.1-sol"),
        ("openai", "gpt-4o-mini", "gpt-6-luna"),
        ("google", "gemini-2.5-pro", "gemini-4-hydrogen"),
        ("google", "gemini-2.5-flash", "gemini-3.5-flash-lite"),
        ("kimi", "moonshot-v1", "kimi-k3.1-pro"),
        ("minimax", "minimax-3", "MiniMax-M3.1-Flash"),
        ("zhipu", "glm-4", "glm-5.3"),
    ],
)
def test_a_slot_is_filled_by_the_newest_model_that_is_open_to_everybody(name: str, slot: str, model: str) -> None:
    """The name stands for that model; a model that is called like the slot is still there, under its vendor's name."""
    assert fills(name, slot) == model
    assert slot not in offers(name)
    listed = {each.id for each in CATALOGUES[name].models}
    if slot in listed and slot not in CATALOGUES[name].retired_now(lambda: TODAY):
        older = offers(name)[f"{name}/{slot}"]
        assert (older.sent_name, older.slots) == (slot, ())


def test_where_an_address_lists_an_older_model_alone_it_fills_its_slot() -> None:
    """Elsewhere than at the vendor's even a model that is closed to new accounts does, and has its own name."""
    assert fills("openai", "gpt-4o", served={"gpt-4o", "gpt-5.1"}) == "gpt-4o"
    assert fills("kimi", "moonshot-v1", served={"kimi-k2.6"}) == "kimi-k2.6"
    assert set(offers("minimax", served={"MiniMax-M2.7"})) == {"MiniMax-M2.7"}


def test_what_is_declared_by_a_slots_name_is_that_model() -> None:
    """`models:` may name the older model itself; what it leaves out is as listed."""
    declared = ModelInfo("gpt-4o", "openai", "openai", regions=("eu",))
    models = openai.CATALOGUE.today(a_config(name="openai", models=(declared,)), lambda: TODAY)
    (found,) = (model for model in models if model.sent_name == "gpt-4o")
    assert (found.id, found.regions, found.max_output) == ("gpt-4o", ("eu",), 16_384)
    assert found.price is not None
    assert found.price.output == Usd.parse(10)


def test_a_model_that_is_shut_down_is_offered_until_its_last_day() -> None:
    """From that day on its name says what to use instead; what other sources say alone is shown and changes nothing."""
    before, after = datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert "google/gemini-2.5-pro" in offers("google", before)
    assert "google/gemini-2.5-pro" not in offers("google", after)
    assert google.CATALOGUE.retired_now(lambda: after)["gemini-2.5-pro"] == "gemini-3.8-flash"
    assert offers("google", before)["google/gemini-2.5-pro"].retires == "2026-12-01"
    assert offers("kimi", after)["kimi-k2.6"].retires == "2026-12"
    assert minimax.CATALOGUE.retired_now(lambda: TODAY)["MiniMax-M2.7"] == "MiniMax-M3.1-Flash"


@pytest.mark.parametrize(
    ("name", "model", "windows"),
    [
        ("openai", "gpt-5", (400_000, 272_000, 128_000)),
        ("openai", "gpt-6-luna", (1_050_000, 922_000, 128_000)),
        ("anthropic", "claude-opus-5-5", (1_000_000, 1_000_000, 128_000)),
        ("google", "gemini-4-argon", (1_048_576, 1_048_576, 65_536)),
        ("deepseek", "deepseek-flash", (1_000_000, 1_000_000, 393_216)),
    ],
)
def test_windows_are_those_of_input_and_output(name: str, model: str, windows: tuple[int, ...]) -> None:
    """Of what some vendors call the context a prompt may fill a part only."""
    found = offers(name)[model]
    assert (found.context, found.max_input, found.max_output) == windows


def test_the_temperature_is_left_out_where_it_is_ignored() -> None:
    """Models that think, and those that take one value only."""
    fixed = {
        *("claude-haiku-5-5", "claude-opus-4-7", "gemini-3.8-flash", "gemini-4-hydrogen"),
        *("gpt-6.1-sol", "gpt-5.1", "kimi-k3.1-pro", "deepseek-v4-pro"),
    }
    usual = {"claude-opus-4-6", "claude-haiku-4-5", "gemini-3.5-flash", "openai/gpt-4o", "deepseek-flash", "glm-5.3"}
    known = {model.id: model for name in CATALOGUES for model in offers(name).values()}
    assert all("no_temperature" in known[each].abilities for each in fixed)
    assert all("no_temperature" not in known[each].abilities for each in usual)


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

    cheap, dear = price.cost(usage, at(23, 0)), price.cost(usage, at(23, 2))
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


def test_deepseeks_peak_is_monday_to_friday() -> None:
    """The price list knows hours alone; at the weekend a call is settled at half of what it says, and held at all."""
    price = offers("deepseek")["deepseek-flash"].price
    assert price is not None
    usage = Usage(input=1_000_000, output=1_000_000)
    peak, usual = price.cost(usage, at(27, 2)), price.cost(usage, at(27, 5))
    assert peak.nano == 2 * usual.nano
    assert [price.cost(usage, at(day, 2)) == peak for day in (23, 24, 25, 26, 27, 28, 29)] == [True] * 5 + [False] * 2
    assert price.bound(1_000_000, 1_000_000) == peak


def test_prices_by_token_class_tier_and_hour_are_those_of_the_list_itself() -> None:
    """For every listed model, at several sizes and moments, the cost is what the list's own calculation gives."""
    compared = 0
    for name, catalogue in CATALOGUES.items():
        source = next(each for each in published_by if each.id == catalogue.price_list)
        for model in catalogue.today(a_config(name=name, models=()), lambda: TODAY):
            if model.id in FREE | ELSEWHERE:
                continue
            entry = source.find_model(model.sent_name)
            assert entry is not None
            assert model.price is not None
            for hour, read in ((2, 1_000), (5, 1_000), (7, 150_000), (13, 300_000), (23, 600_000)):
                token_classes: ModelPrice = entry.get_prices(datetime(2026, 11, 27, hour, tzinfo=UTC))
                usage = Usage(input=read - 500, cached_input=500, output=700, reasoning=300)
                wanted = _listed_cost(token_classes, usage)
                assert model.price.cost(usage, at(27, hour)) == Usd(-int(-wanted // 1)), (model.id, hour, read)
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

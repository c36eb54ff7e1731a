"""``orchestrate models``: what can be bought, for how much, and where the prices come from."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.options.shared_options import (
    allow_option,
    command,
    exact_option,
    home,
    home_option,
    json_option,
    models_option,
)
from orchestrator.cli.options.shell_completion import MODEL
from orchestrator.cli.options.value_types import FILE
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_facts, print_table
from orchestrator.cli.terminal.terminal_output import notice, result
from orchestrator.log.stream_names import EVAL
from orchestrator.models.offers import qualified

if TYPE_CHECKING:
    from orchestrator.engine.vendors.provider_survey import Offers
    from orchestrator.models import ModelInfo
    from orchestrator.money import Price, Rate, TokenClasses
    from orchestrator.telemetry import Grades

_NONE: Final = "–"
_SUGGEST: Final = "Write a models file from what a server lists: /v1/models, or Ollama's /api/tags."
_TOKEN_CLASSES: Final = ("input", "cached_input", "cache_write", "output", "reasoning")

spec_option: Final = click.option(
    "--file", "-f", "spec_file", type=FILE, metavar="SPEC", help="A spec: its providers, with its options and models."
)


@click.group(cls=CommandGroup)
@home_option
def models() -> None:
    """List the models of every provider, with prices, slots and facts."""


models.add_command(PartCommand("suggest", "suggest_models", _SUGGEST))


@models.command("list")
@click.option("--available", is_flag=True, help="Only models that can be called now: with a key and a known price.")
@spec_option
@models_option
@allow_option
@json_option
@exact_option
@home_option
def list_(available: bool, spec_file: Path | None, models: Path | None, allow: tuple[str, ...], as_json: bool) -> int:
    """List the models, with US dollars per million tokens.

    A slot is a name of the routing table; the table shows the model that fills it. A star marks a price that also
    depends on the time or the size of a call: see models show NAME.
    """
    offers = _offers_of(spec_file, models, allow)
    listed = [model for model in offers.models if model.id in offers.available or not available]
    if as_json:
        result_json([plain(model, offers) for model in listed])
    elif listed:
        _print(listed, offers)
    if not listed and not as_json:
        notice("no model can be called now; orchestrate doctor shows which keys are looked for")
    return 0


@models.command()
@click.argument("name", type=MODEL)
@spec_option
@models_option
@allow_option
@json_option
@exact_option
@home_option
def show(name: str, spec_file: Path | None, models: Path | None, allow: tuple[str, ...], as_json: bool) -> int:
    """Show a model's facts. NAME is a model, a slot it fills, or an older name of that slot."""
    from orchestrator.errors import UsageError

    offers = _offers_of(spec_file, models, allow)
    found = offers.find(name)
    if found is None and name in offers.retired:
        raise UsageError(f"{name} is no longer served; use {offers.retired[name]}")
    if found is None:
        raise UsageError(f"no model or slot is called {name!r}{_near(name, offers)}; see: orchestrate models list")
    taught = _grades(qualified(found.provider, found.id))
    if as_json:
        result_json({**plain(found, offers), "grades": [_plain_grades(each) for each in taught]})
    else:
        print_facts([*_facts(found, offers), *(("grades", _graded(each)) for each in taught)])
    return 0


def _grades(model: str) -> "list[Grades]":
    """What evaluations have taught of a model; nothing where there is no log, or it cannot be read."""
    from orchestrator.cli.logs.opening_logs import open_log_if_any
    from orchestrator.errors import LogError
    from orchestrator.telemetry import grades

    try:
        log = open_log_if_any()
        return [] if log is None else [each for each in grades(log) if each.model == model]
    except LogError as error:
        notice(f"! grades of evaluations are left out: {error}")
        return []


def _graded(each: "Grades") -> str:
    name = each.evaluation.removeprefix(EVAL)
    where = f"{name} (simulated)" if each.simulated else name
    count = f"{each.solved} of {each.answers} solved"
    return f"{each.type.value}: {count} in {where}; take back with: {command(f'eval teach {name} --remove')}"


def _plain_grades(each: "Grades") -> dict[str, Any]:
    return {
        "evaluation": each.evaluation.removeprefix(EVAL),
        "simulated": each.simulated,
        "type": each.type.value,
        "answers": each.answers,
        "solved": each.solved,
    }


def _offers_of(spec_file: Path | None, models: Path | None, allow: tuple[str, ...]) -> "Offers":
    from attrs import evolve

    from orchestrator.cli.running.asking_consent import prepare
    from orchestrator.cli.running.spec_from_options import spec_given
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.engine.vendors.provider_survey import narrowed, offers_of, survey
    from orchestrator.engine.vendors.session_providers import client_of
    from orchestrator.engine.vendors.user_admission import admission_of
    from orchestrator.errors import SpecError
    from orchestrator.plugins import Catalogue
    from orchestrator.spec import spec_from, with_models

    spec = spec_from("-", "-") if spec_file is None else spec_given(spec_file)
    spec = evolve(spec, folder=spec.folder if spec_file is not None else os.curdir)
    spec = with_models(spec, models)
    catalogue, environment = Catalogue.discover(), Environment.of_process(lambda secret: None)
    if spec_file is not None:
        spec = prepare(admission_of(catalogue, environment, home()), allow).admit_reading(spec)
    found = survey(catalogue, environment, spec)
    narrowed(found, partial(client_of, spec, environment))
    broken = [each for each in found if each.provider is None and each.problem]
    if broken and spec.providers:
        raise SpecError([each.problem for each in broken])
    for each in broken:
        notice(f"{each.name}: {each.problem}")
    return offers_of(found, spec.models)


def _near(name: str, offers: "Offers") -> str:
    from orchestrator.spec.value_kinds import suggestion

    return suggestion(name, [*(model.id for model in offers.models), *offers.slots])


def plain(model: "ModelInfo", offers: "Offers") -> dict[str, Any]:
    """Everything known of a model, as JSON; prices are US dollars per million tokens, exact, as text."""
    return {
        "id": model.id,
        "provider": model.provider,
        "vendor": model.vendor,
        "available": model.id in offers.available,
        "slots": list(_slots(model, offers)),
        "aliases": _aliases(model, offers),
        "replaces": sorted(name for name, instead in offers.retired.items() if instead == model.id),
        "sent_name": model.sent_name,
        "tier": model.tier,
        "context": model.context,
        "max_output": model.max_output,
        "max_input": model.max_input,
        "hidden_tokens": model.hidden_tokens,
        "thinking_in_limit": model.thinking_in_limit,
        "abilities": list(model.abilities),
        "regions": list(model.regions),
        "trains_on_data": model.trains_on_data,
        "price_usd": None if model.price is None else _price(model.price),
        "price_date": model.price_date,
        "retires": model.retires,
        "source": model.source,
    }


def _price(price: "Price") -> dict[str, Any]:
    return {**_token_classes(price), "rates": [{**_token_classes(rate), **_conditions(rate)} for rate in price.rates]}


def _token_classes(token_classes: "TokenClasses") -> dict[str, str]:
    return {token_class: str(getattr(token_classes, token_class)) for token_class in _TOKEN_CLASSES}


def _conditions(rate: "Rate") -> dict[str, Any]:
    from orchestrator.spec.times import Hours, Timestamp, Weekdays

    found: dict[str, Any] = {}
    if rate.over:
        found["over"] = rate.over
    if rate.since is not None:
        found["since"] = Timestamp().dump(rate.since)
    if rate.hours:
        found["hours"] = Hours().dump(rate.hours)
    if rate.days:
        found["days"] = Weekdays().dump(rate.days)
    return found


def _slots(model: "ModelInfo", offers: "Offers") -> tuple[str, ...]:
    return tuple(slot for slot, filled_by in offers.slots.items() if filled_by == model.id)


def _aliases(model: "ModelInfo", offers: "Offers") -> list[str]:
    from orchestrator.models import SLOT_ALIASES

    slots = _slots(model, offers)
    ids = {each.id for each in offers.models}
    return [alias for alias, slot in SLOT_ALIASES.items() if slot in slots and alias not in ids]


def _print(listed: "list[ModelInfo]", offers: "Offers") -> None:
    from datetime import UTC, datetime

    from orchestrator.engine.vendors.price_age import old_prices

    heads = ("model", "provider", "slots", "input", "cached", "output", "context", "limit", "can be called")
    print_table(
        heads,
        [_row(model, offers) for model in listed],
        right=heads[3:8],
        spare=("limit", "cached", "context", "provider", "slots"),
    )
    sources = sorted({_source_of_price(model) for model in listed if model.price is not None})
    result("")
    for source in sources:
        result(source)
    old = old_prices([model for model in listed if model.id in offers.available], datetime.now(UTC).date())
    if old is not None:
        notice(f"! {old}")


def _source_of_price(model: "ModelInfo") -> str:
    """Where a price comes from, without what differs from vendor to vendor."""
    return model.source.rpartition("; ")[2] if "price:" in model.source else f"price: {model.source or 'not said'}"


def _row(model: "ModelInfo", offers: "Offers") -> tuple[str, ...]:
    price = model.price
    token_classes = (_NONE,) * 3
    if price is not None:
        star = "*" if price.rates else ""
        token_classes = (price.input.trimmed + star, price.cached_input.trimmed + star, price.output.trimmed + star)
    able = "yes" if model.id in offers.available else "no price" if price is None else "no key"
    slots = ", ".join(_slots(model, offers)) or _NONE
    return model.id, model.provider, slots, *token_classes, _count(model.context), _count(model.max_output), able


def _count(tokens: int | None) -> str:
    return _NONE if tokens is None else f"{tokens:,}"


def _facts(model: "ModelInfo", offers: "Offers") -> list[tuple[str, str]]:
    facts = plain(model, offers)
    unknown = "not declared"
    price = [("price", "none is known, so it is not called; declare one in models: of a spec")]
    if model.price is not None:
        price = [("price per million", _spelled(model.price))]
        price += [(f"  {_when(rate)}", _spelled(rate)) for rate in model.price.rates]
    output = "inside" if model.thinking_in_limit else "outside"
    return [
        ("model", model.id + ("" if model.sent_name == model.id else f", sent as {model.sent_name}")),
        ("provider", model.provider),
        ("vendor", model.vendor),
        ("can be called", "yes" if facts["available"] else "no"),
        ("slots", ", ".join(facts["slots"]) or "none"),
        ("aliases", ", ".join(facts["aliases"]) or "none"),
        ("stands in for", ", ".join(facts["replaces"]) or "no retired name"),
        *price,
        ("context window", _count(model.context) if model.context else unknown),
        ("input limit", _count(model.max_input) if model.max_input else "as the context window"),
        ("output limit", _count(model.max_output) if model.max_output else unknown),
        ("hidden tokens", f"{model.hidden_tokens}, held for beside each prompt"),
        ("thinking", f"counts {output} the limit that is sent"),
        ("tier", model.tier or unknown),
        ("abilities", ", ".join(model.abilities) or "none"),
        ("regions", ", ".join(model.regions) or unknown),
        ("trains on data", unknown if model.trains_on_data is None else "yes" if model.trains_on_data else "no"),
        ("retires", model.retires or "no date is announced"),
        ("source", model.source or unknown),
    ]


def _spelled(token_classes: "TokenClasses") -> str:
    return ", ".join(
        f"{token_class.replace('_', ' ')} {getattr(token_classes, token_class).trimmed}"
        for token_class in _TOKEN_CLASSES
    )


def _when(rate: "Rate") -> str:
    given = _conditions(rate)
    words = {"over": "over {} tokens", "since": "since {}", "hours": "at {} UTC", "days": "on {}"}
    return ", ".join(words[name].format(value) for name, value in given.items())

"""Prices of a spec by hour, date and size: frozen, held at the dearest, settled at the one that is due."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve

from orchestrator.events import SessionOpened
from orchestrator.models import ModelInfo, ProjectStatus
from orchestrator.money import Price, Usd
from orchestrator.spec import parse_spec
from tests.faults.fast import play
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import built


def hours(before: timedelta, after: timedelta) -> str:
    """A part of the UTC day around now."""
    now = datetime.now(UTC)
    return f"{now + before:%H:%M}-{now + after:%H:%M}"


def priced(price: dict[str, Any]) -> tuple[dict[str, Any], Price]:
    """A price as a spec has it, and as the program uses it."""
    declared = {"id": "kimi-k2.6", "provider": "kimi", "price": price}
    text = json.dumps({"project": "p", "criteria": "c", "models": [declared]})
    found = parse_spec(json.loads(text), "f").models[0].price
    assert found is not None
    return declared, found


def test_a_call_is_held_at_the_dearest_rate_and_settled_at_the_one_of_its_time(tmp_path: Path) -> None:
    """Cheap now, dear at other hours, dearer for long prompts, and another price from next year on."""
    now, later = timedelta(hours=-2), timedelta(hours=2)
    declared, price = priced(
        {
            "input": 1,
            "output": 4,
            "rates": [
                {"input": 0.5, "output": 2, "cached_input": 0.05, "hours": hours(now, later)},
                {"input": 3, "output": 12, "hours": hours(later, now)},
                {"input": 0.7, "output": 3, "over": 300},
                {"input": 9, "output": 9, "since": f"{datetime.now(UTC).year + 1}-12-31"},
            ],
        }
    )
    models = {model.id: model for model in built("kimi").models()}
    models["kimi-k2.6"] = evolve(models["kimi-k2.6"], price=price)
    others = [{"id": name, "provider": "kimi", "price": declared["price"]} for name in models if name != "kimi-k2.6"]
    models = {name: evolve(model, price=price) for name, model in models.items()}
    with VendorServer("kimi", models) as server:
        run = play(tmp_path, "kimi", server.base_url, {"stream": False}, models=[declared, *others])
    finished = run.state.finished
    opened = next(event for event in run.history if isinstance(event, SessionOpened))

    assert finished is not None
    assert finished.status is ProjectStatus.SUCCESS
    assert (finished.settled, finished.unreconciled) == (server.billed, Usd.ZERO)
    assert {billed.usage.input_tokens > 300 for billed in server.ledger} >= {True}
    assert {model.price for model in opened.models} == {price}
    for attempt in run.attempts:
        model = run.state.models[attempt.model]
        assert attempt.hold == price.bound(attempt.body_bytes + model.hidden_tokens, attempt.max_tokens)
        assert attempt.hold >= Usd(9_000_000_000 * attempt.max_tokens // 1_000_000)
    dearest = sum((price.cost(billed.usage).nano for billed in server.ledger), 0)
    assert finished.settled < Usd(dearest)


def test_rates_survive_the_way_through_canonical_json() -> None:
    """A spec that is stored with its run and read again means the same prices."""
    declared, price = priced(
        {
            "input": 1,
            "output": 4,
            "rates": [
                {"input": 0.5, "output": 2, "hours": "16:30-00:30", "since": "2027-01-31T16:00+02:00", "over": 7}
            ],
        }
    )
    spec = parse_spec({"project": "p", "criteria": "c", "models": [declared]}, "f")
    again = parse_spec(json.loads(spec.canonical()), "f")
    (model,) = again.models

    assert isinstance(model, ModelInfo)
    assert model.price == price
    assert price.rates[0].hours == (990, 30)
    assert price.rates[0].since == 1_801_404_000_000_000

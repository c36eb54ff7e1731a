import math
from typing import Any

import orjson
import pytest
from attrs import fields, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import LogError, UnknownEventError
from orchestrator.events import (
    TYPES,
    CallPrepared,
    Evaluated,
    Event,
    RunStarted,
    StepSkipped,
    TaskStarted,
)
from orchestrator.log.codec import Codec, decode, encode
from orchestrator.models import Role, SkipReason
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.testing.events import event_of


@pytest.mark.parametrize("cls", list(TYPES.values()), ids=list(TYPES))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_event_survives_its_storage(cls: type[Event], data: st.DataObject) -> None:
    """What is decoded equals what was encoded, for every class, and is encoded to the same bytes again."""
    event = data.draw(event_of(cls))

    stored = encode(event)

    assert decode(*stored) == event
    assert repr(decode(*stored)) == repr(event)  # enums equal their values; their repr does not
    assert encode(decode(*stored)) == stored
    assert TYPES[stored[0]] is cls


@pytest.mark.parametrize("event_type", list(TYPES.values()), ids=list(TYPES))
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_every_field_is_stored(event_type: type[Event], data: st.DataObject) -> None:
    """No field is left out for having its default: a reader of the table need not know the defaults."""
    stored = orjson.loads(encode(data.draw(event_of(event_type)))[2])
    names = {each.name.rstrip("_") for each in fields(event_type)}
    assert names == {name.rstrip("_") for name in stored}


def test_the_stored_form_is_compact_and_plain() -> None:
    """Amounts are integers of nano-dollars, enums their values, also as keys."""
    settings = RunSettings(cap=Usd(5), role_max_tokens={Role.CRITIC: 7})

    _, schema, data = encode(RunStarted(1, settings, "s", "p", "c"))

    values = orjson.loads(data)
    assert schema == 1
    assert values["settings"]["cap"] == 5
    assert values["settings"]["role_max_tokens"] == {"critic": 7}
    assert ": " not in data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("task.started", '{"task":3}'),
        ("task.started", '{"task":null}'),
        ("task.started", "{}"),
        ("task.started", '{"task":"t","more":1}'),
        ("task.started", '["t"]'),
        ("task.started", "not json"),
        ("call.prepared", '{"selected":"3","prompt":"p","body_bytes":1}'),
        ("call.prepared", '{"selected":true,"prompt":"p","body_bytes":1}'),
        ("call.prepared", '{"selected":3.0,"prompt":"p","body_bytes":1}'),
        ("step.skipped", '{"task":"t","role":"judge","iteration":1,"reason":"gate"}'),
        ("iteration.evaluated", '{"task":"t","iteration":1,"call":2,"gate":"true","samples":[],"score":null}'),
        ("iteration.evaluated", '{"task":"t","iteration":1,"call":2,"gate":true,"samples":"12","score":null}'),
        ("iteration.evaluated", '{"task":"t","iteration":1,"call":2,"gate":true,"samples":["1"],"score":null}'),
        ("account.opened", '{"totals":{"cap":1.5}}'),
        ("session.lost", '{"number":1,"ended":{}}'),
    ],
)
def test_nothing_is_coerced(name: str, data: str) -> None:
    """Data of another shape or type than the class says is an error of the log."""
    with pytest.raises(LogError, match=name):
        decode(name, 1, data)


def test_a_whole_number_serves_where_a_float_is_expected() -> None:
    """JSON does not tell 1 from 1.0, so both are read as a float."""
    event = decode("iteration.evaluated", 1, '{"task":"t","iteration":1,"call":2,"gate":true,"samples":[1],"score":0}')

    assert isinstance(event, Evaluated)
    assert [type(each) for each in (*event.samples, event.score)] == [float, float]


@pytest.mark.parametrize(
    "event",
    [
        Evaluated("t", 1, 2, True, (math.nan,), None),
        Evaluated("t", 1, 2, True, (), math.inf),
        TaskStarted("\ud800"),
        CallPrepared(1, "p", 2**70),
    ],
)
def test_what_cannot_be_read_back_is_not_written(event: Event) -> None:
    """Values that JSON cannot hold are refused when writing."""
    with pytest.raises(LogError, match="cannot be stored"):
        encode(event)


def test_a_class_without_a_name_is_not_written() -> None:
    """Only classes of the table have a stored name."""

    @frozen
    class Unregistered(Event):
        pass

    with pytest.raises(LogError, match="Unregistered has no stored name"):
        encode(Unregistered())


def test_an_unknown_type_or_a_newer_schema_is_told_apart() -> None:
    """What a newer program wrote is an error of its own kind."""
    with pytest.raises(UnknownEventError, match=r"task\.teleported"):
        decode("task.teleported", 1, "{}")
    with pytest.raises(UnknownEventError, match="schema 2"):
        decode("task.started", 2, '{"task":"t"}')


def test_old_schemas_are_lifted_step_by_step() -> None:
    """Every step runs once, in order, from the stored schema to today's."""

    def named(values: dict[str, Any]) -> dict[str, Any]:
        return {"task": values["name"]}

    def whole(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "role": "critic", "iteration": 1, "reason": "no_model"}

    codec = Codec(
        types={"step.skipped": StepSkipped},
        schemas={"step.skipped": 3},
        upcasters={("step.skipped", 1): named, ("step.skipped", 2): whole},
    )
    today = StepSkipped("t", Role.CRITIC, 1, SkipReason.NO_MODEL)

    assert codec.decode("step.skipped", 1, '{"name":"t"}') == today
    assert codec.decode("step.skipped", 2, '{"task":"t"}') == today
    assert codec.encode(today)[1] == 3
    assert codec.decode(*codec.encode(today)) == today


def test_a_missing_step_is_an_error() -> None:
    """A schema that cannot be lifted is not read as if it were today's."""
    codec = Codec(types={"task.started": TaskStarted}, schemas={"task.started": 2}, upcasters={})

    with pytest.raises(LogError, match="no step from schema 1 to 2"):
        codec.decode("task.started", 1, '{"task":"t"}')

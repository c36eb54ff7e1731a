import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish, ModelInfo, Role
from orchestrator.money import Usage, Usd
from orchestrator.spi import CallContext, Provider, Reply, SpecError
from orchestrator_providers.answers_file import Script, read_script
from orchestrator_providers.scripted import Scripted, orchestrator_provider
from tests.plugins.providers.calls import MODEL, a_config, a_context, a_request

SCRIPT = """
delay_ms: 0
answers:
  - {text: anything}
  - {role: generator, text: some draft}
  - {task: task_001, role: generator, text: first}
  - {task: task_001, role: generator, text: later of equals}
  - {task: task_001, role: generator, iteration: 2, text: second iteration}
  - {task: task_001, role: generator, model: m-2, text: another model}
  - {task: task_001, role: evaluator, sample: 2, text: second sample}
  - {task: task_002, role: generator, try: 1, error: overloaded}
  - {task: task_002, role: generator, text: after the error}
"""


def ask(script: str, **call: Any) -> Reply:
    """The scripted reply to one call."""
    made = Scripted(read_script(script, "answers.yaml"))

    async def answer() -> Reply:
        async with httpx.AsyncClient() as http:
            return await made.call(made.encode(a_request(**call)), a_context(http))

    return asyncio.run(answer())


def failed(script: str, **call: Any) -> ProviderError:
    """The scripted error of one call."""
    with pytest.raises(ProviderError) as caught:
        ask(script, **call)
    return caught.value


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"node": "plan", "role": Role.DECOMPOSER}, "anything"),
        ({"node": "task_009"}, "some draft"),
        ({}, "later of equals"),
        ({"iteration": 2}, "second iteration"),
        ({"model": evolve(MODEL, id="m-2")}, "another model"),
        ({"role": Role.EVALUATOR}, "anything"),
        ({"role": Role.EVALUATOR, "sample": 2}, "second sample"),
        ({"node": "task_002", "try_": 2}, "after the error"),
    ],
)
def test_the_answer_with_the_most_keys_counts(call: Mapping[str, Any], text: str) -> None:
    """Every key must match; most keys win, and the later one of equals."""
    assert ask(SCRIPT, **call).text == text


def test_the_order_of_calls_does_not_matter() -> None:
    """The same call gets the same reply, whatever was asked before."""
    made = Scripted(read_script(SCRIPT, "answers.yaml"))
    requests = [a_request(iteration=iteration, sample=sample) for iteration in (1, 2, 3) for sample in (1, 2)]

    async def answers(order: list[int]) -> dict[int, str]:
        async with httpx.AsyncClient() as http:
            context = a_context(http)
            return {at: (await made.call(made.encode(requests[at]), context)).text for at in order}

    assert asyncio.run(answers([0, 1, 2, 3, 4, 5])) == asyncio.run(answers([5, 3, 1, 4, 2, 0]))


def test_a_call_without_an_answer_says_what_to_add() -> None:
    """No match is a permanent error that names the call."""
    error = failed("answers: [{role: critic, text: x}]", iteration=2)

    assert (error.kind, error.retryable, error.billed) == (ErrorKind.BAD_REQUEST, False, Billed.NO)
    assert "no scripted answer for task task_001, role generator, iteration 2" in str(error)
    assert "add one to the file of answers" in str(error)


def test_tokens_are_a_quarter_of_the_bytes() -> None:
    """Usage is counted from the bytes sent and answered, rounded up."""
    made = Scripted(read_script(SCRIPT, "answers.yaml"))
    body = made.encode(a_request(iteration=2))
    reply = ask(SCRIPT, iteration=2)

    assert reply.usage == Usage(input=-(-len(body.content) // 4), output=4)
    assert reply.finish is Finish.STOP


def test_a_text_beyond_the_limit_is_cut() -> None:
    """Four bytes a token are let through, whole characters only, and the finish is length."""
    reply = ask("answers: [{text: aéééééééé}]", max_tokens=2)

    assert (reply.text, reply.finish) == ("aééé", Finish.LENGTH)
    assert reply.usage is not None
    assert reply.usage.output <= 2


@pytest.mark.parametrize(
    ("written", "usage"),
    [
        ("none", None),
        ("null", None),
        ("{input: 7, output: 5, reasoning: 2}", Usage(input=7, output=5, reasoning=2)),
    ],
)
def test_usage_as_scripted(written: str, usage: Usage | None) -> None:
    """An answer may say what the vendor would have counted, or that it said nothing."""
    assert ask(f"answers: [{{text: x, usage: {written}}}]").usage == usage


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_error_can_be_scripted(kind: ErrorKind) -> None:
    """A kind alone suffices; whether it may pass and is billed follows from it."""
    error = failed(f"answers: [{{error: {kind.value}}}]")

    assert error.kind is kind
    assert error.retryable is (
        kind.value in ("connection", "timeout", "rate_limit", "overloaded", "server", "bad_answer")
    )
    assert error.billed is (Billed.UNKNOWN if kind.value in ("timeout", "bad_answer") else Billed.NO)


def test_an_error_as_scripted() -> None:
    """Each of an error's attributes can be set."""
    error = failed(
        "answers: [{error: server, message: m, retry_after: 2.5, status: 500, billed: unknown, retryable: false}]"
    )

    assert (str(error), error.retry_after, error.status) == ("m", 2.5, 500)
    assert (error.billed, error.retryable) == (Billed.UNKNOWN, False)


def test_the_delay_passes_on_the_programs_clock() -> None:
    """The wait of the script, or of the answer, is slept by the given clock, errors included."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    made = Scripted(
        read_script("delay_ms: 20\nanswers: [{text: a}, {iteration: 2, text: b, delay_ms: 500}]", "answers.yaml")
    )

    async def call() -> None:
        async with httpx.AsyncClient() as http:
            context = CallContext(http, 1.0, sleep, "k")
            for iteration in (1, 2):
                await made.call(made.encode(a_request(iteration=iteration)), context)

    asyncio.run(call())
    assert slept == [0.02, 0.5]


def test_the_body_depends_on_model_messages_and_limit_alone() -> None:
    """Equal questions have equal bytes, whichever call of the run they are."""
    made = Scripted(read_script(SCRIPT, "answers.yaml"))
    first = made.encode(a_request(iteration=1, try_=1)).content

    assert first == made.encode(a_request(iteration=3, try_=2)).content
    assert first.startswith(b'{"model":"m-1","messages":[{"role":"system","content":"Role: generator"}')
    assert first != made.encode(a_request(max_tokens=101)).content


# ── the file ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_models_are_read_with_prices_and_slots() -> None:
    """A pretended model has every fact that the file gives it."""
    script = read_script(
        """
models:
  - {id: n-1, vendor: north, price: {input: 0.28, output: 0.42, cached_input: 0.028}, slots: [gpt-4o], context: 1000,
     max_output: 500, tier: small, regions: [eu], trains_on_data: false}
answers: []
""",
        "a.yaml",
        "scripted",
    )
    (model,) = script.models
    assert model.price is not None

    assert (model.id, model.provider, model.vendor, model.slots) == ("n-1", "scripted", "north", ("gpt-4o",))
    assert (model.context, model.max_output, model.tier) == (1000, 500, "small")
    assert (model.regions, model.trains_on_data) == (("eu",), False)
    assert (model.price.input, model.price.cached_input) == (Usd.parse("0.28"), Usd.parse("0.028"))


def test_three_vendors_are_pretended_by_default() -> None:
    """Without models of its own a script sells three models of three vendors, with prices and slots."""
    models = read_script("answers: []", "a.yaml").models

    assert len({model.vendor for model in models}) == len(models) == 3
    assert all(model.price is not None and model.slots for model in models)


def test_the_spec_overrides_and_adds_models() -> None:
    """What a model of the spec says stands in the place of what the script says of it; others follow."""
    own = read_script("answers: []", "a.yaml").models
    said = ModelInfo(own[1].id, "scripted", "scripted", tier="changed", trains_on_data=False)
    added = ModelInfo("extra", "scripted", "extra")
    models = Scripted(read_script("answers: []", "a.yaml"), (added, said)).models()

    assert tuple(models) == (own[0], evolve(own[1], tier="changed", trains_on_data=False), own[2], added)


@pytest.mark.parametrize(
    ("written", "line", "problem"),
    [
        ("answer: []", 1, "'answer'"),
        ("answers: {}", 1, "list"),
        ("answers:\n  - {role: critic}", 2, "text or error"),
        ("answers:\n  - {text: a, error: server}", 2, "text or error"),
        ("answers:\n  - {text: a}\n  - {text: a, tsak: b}", 3, "'tsak'"),
        ("answers:\n  - {role: painter, text: a}", 2, "painter"),
        ("answers:\n  - {iteration: one, text: a}", 2, "whole number"),
        ("answers:\n  - {iteration: true, text: a}", 2, "whole number"),
        ("answers:\n  - {text: 7}", 2, "text"),
        ("answers:\n  - {error: sleepy}", 2, "overloaded"),
        ("answers:\n  - {text: a, status: 500}", 2, "status"),
        ("answers:\n  - {text: a, delay_ms: -1}", 2, "delay_ms"),
        ("answers:\n  - {text: a, delay_ms: .nan}", 2, "delay_ms"),
        ("answers:\n  - {text: a, usage: {in: 3}}", 2, "'in'"),
        ("answers:\n  - just text", 2, "mapping"),
        ("answers: []\nmodels:\n  - {id: a}", 3, "price"),
        ("answers: []\nmodels:\n  - {id: a, price: {input: 1}}", 3, "input and output"),
        ("answers: []\nmodels:\n  - {id: a, price: {input: -1, output: 1}}", 3, "negative"),
        ("answers: []\nmodels:\n  - {id: a, price: {input: x, output: 1}}", 3, "money"),
        ("answers: []\nmodels:\n  - {id: a, price: {input: 1, output: 1}, slots: gpt-4o}", 3, "list"),
        ("[]", 1, "mapping"),
        ("answers: [", 1, ""),
    ],
)
def test_mistakes_are_named_with_their_line(written: str, line: int, problem: str) -> None:
    """Every mistake in an answers file is refused with file, line and what is wrong."""
    with pytest.raises(SpecError) as caught:
        read_script(written, "a.yaml")

    assert caught.value.problems[0].startswith(f"a.yaml:{line}:")
    assert problem in str(caught.value)


_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["models", "answers", "text", "error", "usage", "price", "id", "iteration", "slots", "input"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["models", "answers", "delay_ms"]), _YAML))
def test_any_file_is_a_script_or_a_spec_error(value: dict[str, Any]) -> None:
    """Whatever stands in the file, the only error is the one for the user."""
    try:
        found: Script | tuple[str, ...] = read_script(json.dumps(value), "a.yaml")
    except SpecError as error:
        found = error.problems

    assert isinstance(found, Script) or all(problem.startswith("a.yaml:") for problem in found)


# ── the hook ───────────────────────────────────────────────────────────────────────────────────────────────────


def made(options: Mapping[str, Any], folder: Path) -> Provider | None:
    """The provider that the hook builds."""
    return orchestrator_provider(a_config(options, name="scripted", models=(), folder=str(folder)))


def test_the_file_is_found_beside_the_spec(tmp_path: Path) -> None:
    """A relative path is resolved against the spec's folder, not the working one."""
    (tmp_path / "answers.yaml").write_text("answers: []")
    provider = made({"answers": "answers.yaml"}, tmp_path)

    assert provider is not None
    assert provider.simulated is True
    assert all(model.provider == "scripted" for model in provider.models())


def test_without_answers_it_is_not_available(tmp_path: Path) -> None:
    """A spec that names no answers has no scripted provider."""
    assert made({}, tmp_path) is None


@pytest.mark.parametrize(
    "options",
    [
        {"answers": "missing.yaml"},
        {"answers": 3},
        {"answer": "a.yaml"},
        {"script": 3},
        {"script": "answers: []", "answers": "a.yaml"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: Mapping[str, Any], tmp_path: Path) -> None:
    """A missing file, a wrong type and a wrong name are errors for the user."""
    with pytest.raises(SpecError):
        made(options, tmp_path)

"""CPU per call through the whole program, beside raw httpx, the SDK of OpenAI and LiteLLM, against one local server.

Ours chooses a model, holds the money, writes five durable events and the texts of a call; the peers only call. It needs
the extra ``bench-routing``; a peer that is not installed is left out.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Pairs, Row, cpu, milliseconds
from benchmarks.tasks import at_first_step, play
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from orchestrator.spec import Spec, spec_from

CALLS: Final = 5
"""Calls of one task: a draft, a criticism, a revision, two evaluations."""

_PROMPT: Final = "Summarise what follows in one sentence. " * 50
_TARGETS: Final[dict[tuple[str, int], float | None]] = {
    ("httpx", 1): None,
    ("httpx", 50): None,
    ("openai", 1): None,
    ("openai", 50): 1.0,
    ("litellm", 1): 0.5,
    ("litellm", 50): 0.5,
}
_TASKS: Final = {1: 30, 50: 200}
"""Tasks of one run, by calls in flight."""

Ask = Callable[[], Awaitable[object]]


@contextmanager
def _server() -> Iterator[str]:
    """A vendor in a process of its own, whose CPU does not count; yields its base URL."""
    script = Path(__file__).parent / "vendor.py"
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


# ── ours ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _spec(base_url: str, in_flight: int) -> Spec:
    models = tuple(
        ModelInfo(
            f"model-{number}",
            "openai_compatible",
            f"vendor-{number}",
            price=Price(Usd.parse("0.25"), Usd.parse("1.25")),
            context=128_000,
            max_output=8192,
            slots=("deepseek-chat",) if number else ("moonshot-v1",),
        )
        for number in range(2)
    )
    return spec_from(
        "Measure what a call costs",
        "it is cheap",
        budget_usd=1000.0,
        time_seconds=100_000.0,
        concurrency=in_flight,
        providers={"openai_compatible": {"base_url": base_url}},
        models=models,
        tasks=[
            {"id": f"t{number}", "type": "summarization", "prompt": f"Do part {number}. {_PROMPT[:400]}"}
            for number in range(_TASKS[in_flight])
        ],
    )


def _ours(base_url: str, in_flight: int) -> float:
    """CPU seconds per call, from the first step on."""
    began: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        outcome = play(
            Path(folder) / "home",
            _spec(base_url, in_flight),
            at_first_step(lambda: began.append(time.process_time())),
        )
        used = time.process_time() - began[0]
    calls = sum(call.attempts for task in outcome.state.tasks.values() for call in task.calls.values())
    if calls != CALLS * _TASKS[in_flight]:
        raise RuntimeError(f"{calls} calls were made, not {CALLS} a task")
    return used / calls


# ── peers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _httpx(base_url: str) -> Iterator[tuple[Ask, Callable[[], Awaitable[None]]]]:
    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=100), timeout=60.0)
    body = {"model": "model-0", "messages": _messages(), "max_tokens": 1024, "temperature": 0.7}

    async def ask() -> object:
        answer = await client.post(f"{base_url}/chat/completions", json=body, headers={"Authorization": "Bearer none"})
        return answer.json()["choices"][0]["message"]["content"]

    yield ask, client.aclose


@contextmanager
def _openai(base_url: str) -> Iterator[tuple[Ask, Callable[[], Awaitable[None]]]]:
    import openai

    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)

    async def ask() -> object:
        answer: Any = await client.chat.completions.create(
            model="model-0", messages=_messages(), max_tokens=1024, temperature=0.7
        )
        return answer.choices[0].message.content

    yield ask, client.close


@contextmanager
def _litellm(base_url: str) -> Iterator[tuple[Ask, Callable[[], Awaitable[None]]]]:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # nothing is fetched
    import litellm

    litellm.telemetry = False

    async def ask() -> object:
        answer: Any = await litellm.acompletion(
            "openai/model-0",
            _messages(),
            api_base=base_url,
            api_key="none",
            max_tokens=1024,
            temperature=0.7,
            num_retries=0,
        )
        return answer.choices[0].message.content

    async def close() -> None:
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()  # its clients belong to this event loop

    yield ask, close


_PEERS: Final = {"httpx": _httpx, "openai": _openai, "litellm": _litellm}


def _messages() -> Any:
    return [{"role": "system", "content": "You write."}, {"role": "user", "content": _PROMPT}]


def _peer(name: str, base_url: str, in_flight: int) -> float:
    """CPU seconds per call, so many at once, with as many calls as ours makes."""
    calls = CALLS * _TASKS[in_flight]

    async def one_after_the_other(ask: Ask) -> None:
        for _ in range(calls // in_flight):
            assert await ask()

    async def all_of_them() -> None:
        with _PEERS[name](base_url) as (ask, close):
            async with asyncio.TaskGroup() as group:
                for _ in range(in_flight):
                    group.create_task(one_after_the_other(ask))
            await close()

    return cpu(lambda: asyncio.run(all_of_them())) / calls


def run(rounds: int) -> Iterator[Row]:
    """Compare with every peer that is installed, sequentially and at 50 in flight, all in turns."""
    peers = [name for name in _PEERS if find_spec(name) is not None]
    for missing in _PEERS.keys() - set(peers):
        print(f"calls: {missing} is left out, it is not installed", file=sys.stderr)
    with _server() as base_url:
        for in_flight in _TASKS:
            measured: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
            for _ in range(rounds + 1):
                measured["ours"].append(_ours(base_url, in_flight))
                for name in peers:
                    measured[name].append(_peer(name, base_url, in_flight))
            for name in peers:
                pairs = Pairs(tuple(measured["ours"][1:]), tuple(measured[name][1:]))
                how = "one after the other" if in_flight == 1 else f"{in_flight} in flight"
                what = f"a call through the whole program, {how}, beside {name} {version(name)}"
                note = "ours with its decisions, hold, durable events and texts; the peer only calls"
                yield pairs.row(what, milliseconds, _TARGETS[name, in_flight], most=True, note=note)

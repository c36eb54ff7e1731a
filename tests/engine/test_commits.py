"""How many transactions a run takes: effects that are ready together are recorded together, none undecided."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.engine import runs
from orchestrator.engine.calls import Calls
from orchestrator.engine.ports import real_ports
from orchestrator.engine.runs import Engine
from orchestrator.log.protocol import Member, Written
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import ProjectStatus
from orchestrator.spec import spec_from

TASKS = 24
ANSWERS = """\
delay_ms: 0
answers:
  - {role: generator, text: A first draft of some words.}
  - {role: critic, text: The draft says too little.}
  - {role: reviser, text: A revised draft of more words.}
  - {role: evaluator, text: '{"score": 0.95, "reasons": "it does what was asked"}'}
"""


@pytest.mark.parametrize(("concurrency", "most"), [(3, 3.0), (8, 1.25)])
def test_effects_that_are_ready_together_share_a_transaction(
    concurrency: int, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of five calls takes nine steps; those of tasks side by side are one transaction each."""
    groups: list[int] = []
    write = SqliteStore.write

    def counted(store: SqliteStore, members: Sequence[Member]) -> list[Written]:
        groups.append(len(members))
        return write(store, members)

    monkeypatch.setattr(SqliteStore, "write", counted)
    monkeypatch.setattr(runs, "real_ports", lambda: evolve(real_ports(), patience=60.0))
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    spec = spec_from(
        "Count what a task costs",
        "it is cheap",
        budget_usd=100.0,
        time_seconds=10_000.0,
        concurrency=concurrency,
        project_id="counted",
        providers={"scripted": {"answers": str(tmp_path / "answers.yaml")}},
        tasks=[{"id": f"t{number}", "type": "summarization", "prompt": "Do it."} for number in range(TASKS)],
    )
    engine = Engine.open(tmp_path / "home")
    early: list[tuple[str, int]] = []

    def watch(name: str) -> None:
        perform: Any = getattr(Calls, name)

        def watched(calls: Calls, version: int, opened: e.Event) -> Any:
            last = engine.log.last("counted")
            if last is None or last.version < version:
                early.append((name, version))
            return perform(calls, version, opened)

        monkeypatch.setattr(Calls, name, watched)

    watch("prepare")
    watch("call")
    try:
        ended = asyncio.run(engine.start(spec))
    finally:
        engine.close()
    assert ended.state.finished is not None
    assert ended.state.finished.status is ProjectStatus.SUCCESS
    assert early == []
    assert len(groups) <= TASKS * most

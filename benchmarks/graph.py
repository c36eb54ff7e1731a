"""200 tiny tasks of five calls, beside a five-node graph in LangGraph with its SQLite checkpointer."""

import itertools
import operator
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.measure import Row, alternate, cpu, milliseconds
from benchmarks.tasks import TEXTS, at_first_step, play, spec_of

TASKS: Final = 200


class Work(TypedDict):
    """What a task amounts to, as LangGraph keeps it."""

    prompt: str
    draft: str
    critique: str
    revision: str
    scores: Annotated[list[float], operator.add]


def _graph() -> StateGraph[Work]:
    graph: StateGraph[Work] = StateGraph(Work)
    steps: dict[str, Any] = {
        "generate": lambda work: {"draft": TEXTS["generator"]},
        "criticise": lambda work: {"critique": TEXTS["critic"]},
        "revise": lambda work: {"revision": TEXTS["reviser"]},
        "evaluate": lambda work: {"scores": [0.95]},
        "evaluate again": lambda work: {"scores": [0.95]},
    }
    for name, step in steps.items():
        graph.add_node(name, step)
    names = [START, *steps, END]
    for before, after in itertools.pairwise(names):
        graph.add_edge(before, after)
    return graph


def _langgraph(tasks: int) -> float:
    """CPU seconds per task, one thread of the checkpointer each."""
    with tempfile.TemporaryDirectory() as scratch:
        connection = sqlite3.connect(Path(scratch) / "peer.db", check_same_thread=False)
        app = _graph().compile(checkpointer=SqliteSaver(connection))

        def work(first: int, last: int) -> None:
            for number in range(first, last):
                app.invoke(
                    {"prompt": f"Do part {number}."},  # type: ignore[arg-type]
                    {"configurable": {"thread_id": f"t{number}"}},
                    durability="sync",
                )

        work(0, 1)
        spent = cpu(lambda: work(1, tasks + 1))
        connection.close()
        return spent / tasks


def _ours(tasks: int, concurrency: int) -> float:
    """CPU seconds per task, from the first step to the closed data folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = spec_of(folder, tasks, concurrency)
        began: list[float] = []
        play(folder / "home", spec, at_first_step(lambda: began.append(time.process_time())))
        return (time.process_time() - began[0]) / tasks


def run(rounds: int) -> Iterator[Row]:
    """Compare per task."""
    for concurrency, target in ((8, 0.3), (3, 0.4)):
        pairs = alternate(partial(_ours, TASKS, concurrency), partial(_langgraph, TASKS), rounds)
        what = f"a task of five calls at concurrency {concurrency}, beside LangGraph + SqliteSaver"
        yield pairs.row(what, milliseconds, target, most=True, note="24 events and their texts beside 7 checkpoints")

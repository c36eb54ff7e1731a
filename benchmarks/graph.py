"""200 tiny tasks of five calls, beside a five-node graph in LangGraph with its checkpointers."""

import itertools
import operator
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.measure import Row, alternate, cpu, milliseconds
from benchmarks.postgres import DURABLE
from benchmarks.tasks import TEXTS, at_first_step, play, spec_of
from orchestrator_postgres import temporary_server

TASKS: Final = 200
_NUMBERS: Final = itertools.count()


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
        spent = _invoked(SqliteSaver(connection), tasks)
        connection.close()
        return spent


def _langgraph_on(url: str, tasks: int) -> float:
    """The same on a PostgreSQL server, in a schema of its own."""
    with _schema(url) as own, PostgresSaver.from_conn_string(own) as saver:
        saver.setup()
        return _invoked(saver, tasks)


def _invoked(saver: Any, tasks: int) -> float:
    """CPU seconds per task of this process: a server's are counted on neither side."""
    app = _graph().compile(checkpointer=saver)

    def work(first: int, last: int) -> None:
        for number in range(first, last):
            app.invoke(
                {"prompt": f"Do part {number}."},  # type: ignore[arg-type]
                {"configurable": {"thread_id": f"t{number}"}},
                durability="sync",
            )

    work(0, 1)
    return cpu(lambda: work(1, tasks + 1)) / tasks


@contextmanager
def _schema(url: str) -> Iterator[str]:
    """The address of an empty schema on a server."""
    name = f"graph_{next(_NUMBERS)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")


def _ours(tasks: int, concurrency: int) -> float:
    """CPU seconds per task, from the first step to the closed data folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = spec_of(folder, tasks, concurrency)
        began: list[float] = []
        play(folder / "home", spec, at_first_step(lambda: began.append(time.process_time())))
        return (time.process_time() - began[0]) / tasks


def _ours_on(url: str, tasks: int, concurrency: int) -> float:
    """The same with the log on a PostgreSQL server."""
    with _schema(url) as own, pytest.MonkeyPatch.context() as environment:
        environment.setenv("ORCHESTRATE_STORE", own)
        return _ours(tasks, concurrency)


def postgres(rounds: int) -> Iterator[Row]:
    """Compare per task with the log, and the checkpoints, on a server."""
    with temporary_server.temporary_server(DURABLE) as server:
        ours, peer = partial(_ours_on, server.url(), TASKS, 8), partial(_langgraph_on, server.url(), TASKS)
        what = "a task of five calls at concurrency 8, beside LangGraph + PostgresSaver"
        note = "CPU time of the client; 24 events and their texts beside 7 checkpoints"
        yield alternate(ours, peer, rounds).row(what, milliseconds, 0.3, most=True, note=note)


def run(rounds: int) -> Iterator[Row]:
    """Compare per task."""
    for concurrency, target in ((8, 0.3), (3, 0.4)):
        pairs = alternate(partial(_ours, TASKS, concurrency), partial(_langgraph, TASKS), rounds)
        what = f"a task of five calls at concurrency {concurrency}, beside LangGraph + SqliteSaver"
        yield pairs.row(what, milliseconds, target, most=True, note="24 events and their texts beside 7 checkpoints")

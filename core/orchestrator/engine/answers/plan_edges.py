"""The graph of a plan: cycles are cut, and what is too many is left out. Tasks are numbers from 0, in order."""

from collections.abc import Sequence
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_

Edge = tuple[int, int]
"""A task and one that it depends on."""


def acyclic(dependencies: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[Edge]]:
    """The dependencies without those that close a cycle, and what was cut, both in the plan's order.

    Each dependency in its order is kept unless it closes a cycle with those before it: every cycle is cut at its last.
    """
    edges: list[list[int]] = []
    cut: list[Edge] = []
    dependants = [0] * len(dependencies)  # a bit for each task that depends on this one
    for task, wanted in enumerate(dependencies):
        waiting = _reached(task, dependants)
        edges.append([each for each in wanted if not waiting >> each & 1])
        cut += [(task, each) for each in wanted if waiting >> each & 1]
        for each in edges[-1]:
            dependants[each] |= 1 << task
    return edges, cut


def _reached(task: int, dependants: Sequence[int]) -> int:
    """The tasks that wait for a task, itself among them, as bits."""
    reached = left = 1 << task
    while left:
        lowest = left & -left
        new = dependants[lowest.bit_length() - 1] & ~reached
        reached |= new
        left = (left ^ lowest) | new
    return reached


def first_with_dependencies(dependencies: Sequence[Sequence[int]], most: int) -> list[int]:
    """At most so many tasks: each in its order is taken with all it depends on, where they still fit.

    The dependencies have no cycle.
    """
    needed: dict[int, int] = {}
    for task in TopologicalSorter(dict(enumerate(dependencies))).static_order():
        needed[task] = reduce(or_, (needed[each] for each in dependencies[task]), 1 << task)
    taken = 0
    for task in range(len(dependencies)):
        with_it = taken | needed[task]
        if with_it.bit_count() <= most:
            taken = with_it
    return [task for task in range(len(dependencies)) if taken >> task & 1]

"""The tasks as a picture: layers by dependency, an order in each layer that crosses few lines, no line behind a box.

A line that passes a layer has a place of its own there, as if it were a low box; between two layers there is nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

WIDTH: Final = 204
"""Of a box, in units of the picture."""
HEIGHT: Final = 58
_ACROSS: Final = 56
_DOWN: Final = 18
_PASS_HEIGHT: Final = 10
"""Height of a line's place in a layer that it passes."""
_SWEEPS: Final = 4
MOST_PASSES: Final = 4_000
"""Passes beyond which a graph is no picture any more."""

_Pass = tuple[str, str, int]
"""The earlier task, the later one, and the layer that the line between them passes."""
_Node = str | _Pass


@frozen
class Box:
    """A task in the picture; x and y are its upper left corner."""

    name: str
    x: float
    y: float


@frozen
class Line:
    """A dependency in the picture: the path of a curve, from the earlier task to the one that needs it."""

    path: str
    start: str
    end: str


@frozen
class Picture:
    """The boxes and lines of a graph, and how much space they take."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def draw(dependencies: Mapping[str, Sequence[str]], order: Sequence[str]) -> Picture | None:
    """Lay the tasks out from left to right; ``order`` is one in which no task comes before what it needs.

    None where the lines are too many to be seen.
    """
    depth = _depths(dependencies, order)
    edges = [(needed, name) for name in order for needed in dependencies[name] if needed in depth]
    if sum(depth[name] - depth[needed] - 1 for needed, name in edges) > MOST_PASSES:
        return None
    layers, before = _laid_out(order, depth, edges)
    _untangle(layers, before)
    heights = [sum(_height(node) + _DOWN for node in layer) - _DOWN for layer in layers]
    tallest = max(heights, default=0)
    places: dict[_Node, tuple[float, float]] = {}
    for column, layer in enumerate(layers):
        y = (tallest - heights[column]) / 2
        for node in layer:
            places[node] = column * (WIDTH + _ACROSS), y
            y += _height(node) + _DOWN
    lines = tuple(_line(places, depth, *edge) for edge in edges)
    width = max(1, len(layers)) * (WIDTH + _ACROSS) - _ACROSS
    return Picture(tuple(Box(name, *places[name]) for name in order), lines, width, max(tallest, HEIGHT))


def _height(node: _Node) -> int:
    return HEIGHT if isinstance(node, str) else _PASS_HEIGHT


def _depths(dependencies: Mapping[str, Sequence[str]], order: Sequence[str]) -> dict[str, int]:
    """Each task one layer after the latest of those it needs."""
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[needed] for needed in dependencies[name] if needed in depth), default=-1)
    return depth


def _laid_out(
    order: Sequence[str], depth: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[_Node]], dict[_Node, list[_Node]]]:
    """The layers with tasks and lines that pass, and what stands before each of them in the layer before."""
    layers: list[list[_Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    before: dict[_Node, list[_Node]] = {name: [] for name in order}
    for name in order:
        layers[depth[name]].append(name)
    for needed, name in edges:
        last: _Node = needed
        for column in range(depth[needed] + 1, depth[name]):
            place = (needed, name, column)
            layers[column].append(place)
            before[place] = [last]
            last = place
        before[name].append(last)
    return layers, before


def _untangle(layers: list[list[_Node]], before: Mapping[_Node, Sequence[_Node]]) -> None:
    """Sort each layer by where its neighbours stand, forwards and backwards."""
    after: dict[_Node, list[_Node]] = {node: [] for layer in layers for node in layer}
    for node, earlier in before.items():
        for each in earlier:
            after[each].append(node)
    for sweep in range(_SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        rows = {node: row for layer in layers for row, node in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            places = {node: _middle([rows[n] for n in neighbours[node]], rows[node]) for node in layer}
            layer.sort(key=places.__getitem__)
            rows.update((node, row) for row, node in enumerate(layer))


def _middle(rows: Sequence[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else float(otherwise)


def _line(places: Mapping[_Node, tuple[float, float]], depth: Mapping[str, int], start: str, end: str) -> Line:
    """A curve between layers, straight through its place in each layer that it passes."""
    x, y = places[start]
    x, y = x + WIDTH, y + HEIGHT / 2
    path = f"M{x:g} {y:g}"
    for column in range(depth[start] + 1, depth[end]):
        to_x, to_y = places[start, end, column]
        to_y += _PASS_HEIGHT / 2
        path += f"{_curve(x, y, to_x, to_y)}H{to_x + WIDTH:g}"
        x, y = to_x + WIDTH, to_y
    to_x, to_y = places[end]
    return Line(f"{path}{_curve(x, y, to_x - 4, to_y + HEIGHT / 2)}", start, end)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = (to_x - x) / 2
    return f"C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"

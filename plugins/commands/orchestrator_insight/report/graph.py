"""The tasks as a picture: layers by dependency, an order in each layer that crosses few lines."""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

WIDTH: Final = 168
"""Of a box, in units of the picture."""
HEIGHT: Final = 46
_ACROSS: Final = 58
_DOWN: Final = 20
_SWEEPS: Final = 4


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


@frozen
class Picture:
    """The boxes and lines of a graph, and how much space they take."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def draw(dependencies: Mapping[str, Sequence[str]], order: Sequence[str]) -> Picture:
    """Lay the tasks out from left to right; ``order`` is one in which no task comes before what it needs."""
    layers = _layers(dependencies, order)
    _untangle(layers, dependencies)
    tallest = max((len(layer) for layer in layers), default=0)
    height = max(1, tallest) * (HEIGHT + _DOWN) - _DOWN
    boxes: dict[str, Box] = {}
    for column, layer in enumerate(layers):
        top = (height - (len(layer) * (HEIGHT + _DOWN) - _DOWN)) / 2
        for row, name in enumerate(layer):
            boxes[name] = Box(name, column * (WIDTH + _ACROSS), top + row * (HEIGHT + _DOWN))
    lines = tuple(
        _line(boxes[needed], boxes[name]) for name in order for needed in dependencies[name] if needed in boxes
    )
    width = max(1, len(layers)) * (WIDTH + _ACROSS) - _ACROSS
    return Picture(tuple(boxes[name] for name in order), lines, width, height)


def _layers(dependencies: Mapping[str, Sequence[str]], order: Sequence[str]) -> list[list[str]]:
    """Each task one layer after the latest of those it needs."""
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[needed] for needed in dependencies[name] if needed in depth), default=-1)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in order:
        layers[depth[name]].append(name)
    return layers


def _untangle(layers: list[list[str]], dependencies: Mapping[str, Sequence[str]]) -> None:
    """Sort each layer by where its neighbours stand, forwards and backwards."""
    dependants: dict[str, list[str]] = {name: [] for layer in layers for name in layer}
    for name, needed in dependencies.items():
        for each in needed:
            if each in dependants:
                dependants[each].append(name)
    for sweep in range(_SWEEPS):
        neighbours = dependencies if sweep % 2 == 0 else dependants
        rows = {name: row for layer in layers for row, name in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            places = {name: _middle([rows[n] for n in neighbours[name] if n in rows], rows[name]) for name in layer}
            layer.sort(key=places.__getitem__)
            rows.update((name, row) for row, name in enumerate(layer))


def _middle(rows: Sequence[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else float(otherwise)


def _line(start: Box, end: Box) -> Line:
    x, y = start.x + WIDTH, start.y + HEIGHT / 2
    to_x, to_y = end.x, end.y + HEIGHT / 2
    bend = max(24.0, (to_x - x) / 2)
    return Line(f"M{x:g} {y:g}C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x - 5:g} {to_y:g}")

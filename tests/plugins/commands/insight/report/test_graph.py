"""The picture of the tasks."""

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_insight.report.graph import HEIGHT, MOST_PASSES, WIDTH, Box, Line, Picture, draw


@st.composite
def plans(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Task names and what each needs, in an order in which it comes later."""
    count = draw(st.integers(0, 14))
    return {
        f"t{number}": tuple(draw(st.sets(st.sampled_from([f"t{n}" for n in range(number)]), max_size=3)))
        if number
        else ()
        for number in range(count)
    }


def drawn(plan: dict[str, tuple[str, ...]]) -> Picture:
    """The picture of a plan, which has one."""
    picture = draw(plan, tuple(plan))
    assert picture is not None
    return picture


def points(line: Line) -> Iterator[tuple[float, float]]:
    """Points along a line: of its curves and of its straight parts."""
    x = y = 0.0
    for kind, numbers in re.findall(r"([MCH])([^MCH]+)", line.path):
        given = [float(each) for each in numbers.split()]
        if kind == "M":
            x, y = given
        elif kind == "H":
            yield from ((x + (given[0] - x) * step / 8, y) for step in range(9))
            x = given[0]
        else:
            a, b, c, d, to_x, to_y = given
            for step in range(17):
                t = step / 16
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                yield (
                    sum(w * p for w, p in zip(weights, (x, a, c, to_x), strict=True)),
                    sum(w * p for w, p in zip(weights, (y, b, d, to_y), strict=True)),
                )
            x, y = to_x, to_y


def behind(picture: Picture) -> list[tuple[str, str]]:
    """(line's end, box) of every line that is somewhere behind a box."""
    columns: dict[float, list[Box]] = {}
    for box in picture.boxes:
        columns.setdefault(box.x, []).append(box)
    return [
        (line.end, box.name)
        for line in picture.lines
        for x, y in points(line)
        for left, boxes in columns.items()
        if left + 1 < x < left + WIDTH - 1
        for box in boxes
        if box.y + 1 < y < box.y + HEIGHT - 1
    ]


@given(plans())
def test_no_line_is_behind_a_box(plan: dict[str, tuple[str, ...]]) -> None:
    """A line that passes a layer has a lane of its own there, and begins and ends at its own tasks."""
    picture = drawn(plan)
    assert behind(picture) == []
    boxes = {box.name: box for box in picture.boxes}
    for line in picture.lines:
        assert line.path.startswith(f"M{boxes[line.start].x + WIDTH:g} ")
        assert list(points(line))[-1][0] == boxes[line.end].x - 4


def test_five_hundred_tasks_are_drawn_and_too_many_lines_are_not() -> None:
    """A plan of that size keeps its lines clear; a picture of thousands of passing lines is none."""
    wide = {f"t{number}": tuple(f"t{each}" for each in {number // 2} if each < number) for number in range(500)}
    assert behind(drawn(wide)) == []
    dense = {f"t{number}": tuple(f"t{each}" for each in range(number)) for number in range(60)}
    assert sum(range(60)) * 10 > MOST_PASSES
    assert draw(dense, tuple(dense)) is None


@given(plans())
def test_no_box_lies_on_another_and_what_is_needed_lies_to_the_left(plan: dict[str, tuple[str, ...]]) -> None:
    """Every task is one box inside the picture; a dependency is a line that goes to the right."""
    picture = drawn(plan)
    boxes = {box.name: box for box in picture.boxes}
    assert list(boxes) == list(plan)
    assert len({(box.x, box.y) for box in picture.boxes}) == len(plan)
    for box in picture.boxes:
        assert 0 <= box.x <= picture.width - WIDTH
        assert 0 <= box.y <= picture.height - HEIGHT
        for other in picture.boxes:
            if other is not box and other.x == box.x:
                assert abs(other.y - box.y) >= HEIGHT
    assert len(picture.lines) == sum(map(len, plan.values()))
    for name, needed in plan.items():
        assert all(boxes[each].x + WIDTH < boxes[name].x for each in needed)


def test_the_order_in_a_layer_follows_the_neighbours() -> None:
    """Two chains that were named crosswise are drawn side by side."""
    picture = drawn({"a": (), "b": (), "of b": ("b",), "of a": ("a",)})
    at = {box.name: box.y for box in picture.boxes}
    assert (at["a"] < at["b"]) == (at["of a"] < at["of b"])

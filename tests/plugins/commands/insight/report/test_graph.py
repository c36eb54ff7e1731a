"""The picture of the tasks."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_insight.report.graph import HEIGHT, WIDTH, draw


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


@given(plans())
def test_no_box_lies_on_another_and_what_is_needed_lies_to_the_left(plan: dict[str, tuple[str, ...]]) -> None:
    """Every task is one box inside the picture; a dependency is a line that goes to the right."""
    picture = draw(plan, tuple(plan))
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
    picture = draw({"a": (), "b": (), "of b": ("b",), "of a": ("a",)}, ("a", "b", "of b", "of a"))
    at = {box.name: box.y for box in picture.boxes}
    assert (at["a"] < at["b"]) == (at["of a"] < at["of b"])

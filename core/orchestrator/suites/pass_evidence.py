"""Testifies how tests came to their end: that they were run, and that what they compared can differ from something.

It is handed in as a file and imports nothing of the program. As pytest rewrites a file of tests, notes are added to it;
see ``rewriting_tests.py``. An object that equals whatever it is compared with answers no test.
"""

import operator
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
}
_OTHER_WAY = {"<": operator.gt, "<=": operator.gt, ">": operator.lt, ">=": operator.lt}
_PLAIN = frozenset({int, float, bool, str, bytes, complex, type(None), range, type(...)})
_HOLDERS = (list, tuple, set, frozenset)
_MOST = 1000
_SLOT, _FUNCTION = type(object.__eq__), type(lambda: None)
_MRO = type.__dict__["__mro__"].__get__
_EQUALS = "an object that equals whatever it is compared with"


class Witness:
    """Notes of one process.

    Args:
        folder: where sources lie, with a separator at its end.
        files: the paths of the tests.
        say: takes what code under test did.
        notes: the module that adds notes to tests.
    """

    def __init__(self, folder: str, files: list[str], say: Callable[[str], None], notes: Any) -> None:
        self.ends: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.known: set[str] = set()
        self._folder, self._files, self._say = folder, frozenset(files), say
        self._notes = notes
        self._text = ""
        self._modules: list[Any] = []
        self._gate = tuple(getattr(self, name) for name in notes.GATE)  # which nothing can be assigned to
        self._name = "orchestrate_" + random.SystemRandom().randbytes(8).hex()

    def install(self) -> None:
        """Add the notes whenever pytest rewrites a file of tests."""
        from _pytest.assertion import rewrite

        original = rewrite.rewrite_asserts

        def rewritten(tree: Any, source: Any, *rest: Any, **named: Any) -> None:
            path = str(rest[0] if rest else named.get("module_path"))
            ours = path in self._files
            alone = self._notes.lines_of_lone_comparisons(tree)
            if ours:
                self._text += source.decode(errors="replace")
                sys.modules[self._name] = self._gate  # type: ignore[assignment]  # until the tests have imported it
                self.known |= self._notes.mark(tree, path.removeprefix(self._folder), self._name)
            original(tree, source, *rest, **named)
            if ours:
                self._notes.look(tree, alone)

        rewrite.rewrite_asserts = rewritten  # type: ignore[assignment]  # it takes the same arguments

    def hide(self) -> None:
        """Let no module import what the tests have just imported."""
        sys.modules.pop(self._name, None)

    def hold(self) -> None:
        """Look whether the tests still call what they imported."""
        for module in self._modules:
            if vars(module).get("@gate") is not self._gate:
                self._say("names in the module of the tests were replaced")

    def end(self, test: str) -> None:
        """A test has come to an end of its own."""
        self.ends[test] = self.ends.get(test, 0) + 1

    def began(self, place: str) -> None:
        """An assertion, or a block in which there are some, begins."""
        self.open[place] = self.open.get(place, 0) + 1

    def passed(self, place: str) -> None:
        """It has come to its end."""
        self.open[place] = self.open.get(place, 0) - 1

    def key_of(self, item: Any) -> str:
        """The name under which a test notes its end; empty where its file does not define it."""
        name = getattr(item, "originalname", None) or item.name.partition("[")[0]
        key = f"{item.nodeid.partition('::')[0]}::{name}"
        if item.module not in self._modules and "@gate" in vars(item.module):
            self._modules.append(item.module)
        owner = next((each for each in getattr(item.cls, "__mro__", ()) if name in vars(each)), None)
        return key if key in self.known and (owner is None or owner.__module__ == item.module.__name__) else ""

    def unwitnessed(self, passed: list[str], others: bool) -> list[str]:
        """The tests (by their keys) that passed more often than they came to their end.

        Where each has passed, the assertions that began and did not come to their end, too.
        """
        ends = [key for key in dict.fromkeys(passed) if key and self.ends.get(key, 0) < passed.count(key)]
        return ends if others else [*ends, *(place for place, number in self.open.items() if number > 0)]

    def compared(self, sign: str, left: Any, right: Any, alone: bool) -> Any:
        """What a comparison gives, after a look at what is compared."""
        __tracebackhide__ = True
        result = _COMPARE[sign](left, right)
        if (type(left) in _PLAIN and type(right) in _PLAIN) or sign == "!=" or result is False:
            return result
        if sign in _OTHER_WAY:
            self._look_at_order(sign, left, right)
        else:
            self._look(left, right, alone)
            if sign == "==":
                self._look(right, left, alone)
                self._ask_again(left, right)
                self._ask_again(right, left)
        return result

    def pair(self, left: Any, right: Any) -> tuple[Any, Any]:
        """The first two arguments of an assertion of unittest, after a look at them."""
        self._look(left, right, True)
        self._look(right, left, True)
        return left, right

    def less(self, left: Any, right: Any) -> Any:
        """A difference, after a look at whether it is the same whatever is taken away."""
        __tracebackhide__ = True
        result = left - right
        if type(result) in (int, float) and type(right) in (int, float) and type(left) not in _PLAIN:
            self._look_at_difference(result, left, right)
        return result

    def _look(self, value: Any, other: Any, alone: bool) -> None:
        leaves = [each for each in _flat(other) if type(each) in _PLAIN]
        kinds = list({type(each): each for each in leaves[:50]}.values())
        for each in _flat(value):
            if type(each) not in _PLAIN and self._is_foreign(each) and _is_wild(each, kinds, alone):
                self._say(_EQUALS)
        for each, wanted in _pairs(value, other):
            if type(each) not in _PLAIN and type(wanted) in _PLAIN and self._is_foreign(each):
                if _is_unsteady(each, wanted, alone):
                    self._say("an object that equals another only at times")
                if _is_another_number(each, wanted, alone) and type(each).__name__ not in self._text:
                    self._say("a number that equals one it is not")

    def _ask_again(self, value: Any, other: Any) -> None:
        """Whether what was equal is equal still; of a value that is read only once, nothing is asked."""
        foreign = type(value) not in _PLAIN and any(self._is_foreign(each) for each in _flat(value))
        once = type(other) not in _PLAIN and not isinstance(value, list | tuple | dict)
        if foreign and not once and not _same(value, other, True):
            self._say("an object that equals another only at times")

    def _look_at_order(self, sign: str, left: Any, right: Any) -> None:
        if self._is_foreign(left, "__lt__", "__gt__", "__le__") or self._is_foreign(
            right, "__lt__", "__gt__", "__le__"
        ):
            try:
                both = _OTHER_WAY[sign](left, right) is True
            except BaseException:
                return
            if both:
                self._say("an object that is both less and more than what it is compared with")

    def _look_at_difference(self, result: Any, left: Any, right: Any) -> None:
        try:
            others = [left - (right + step) for step in (1, -1, 17, -17, 1009, -1009)]
        except BaseException:
            return
        if all(type(each) is type(result) and each == result for each in others):
            self._say("an object that differs from everything by the same amount")

    def _is_foreign(self, value: Any, *names: str) -> bool:
        """Whether the equality (or what is named) of an object is neither Python's own nor the tests'."""
        return any(self._is_defined(value, name) for name in names or ("__eq__",))

    def _is_defined(self, value: Any, name: str) -> bool:
        for each in _MRO(type(value)):
            found = type.__getattribute__(each, "__dict__").get(name)
            if found is None:
                continue
            if type(found) is _SLOT:
                return False
            path = found.__code__.co_filename if type(found) is _FUNCTION else ""
            shown = each.__name__.removeprefix("_")
            meant = shown in self._text or (shown.startswith("Approx") and "approx" in self._text)
            return path not in self._files and not (meant and not path.startswith((self._folder, "<")))
        return False


def _flat(value: Any) -> Iterator[Any]:
    """A value, and what it holds, as far as a thousand."""
    waiting, seen = [value], 0
    while waiting and seen < _MOST:
        each = waiting.pop()
        seen += 1
        if isinstance(each, _HOLDERS):
            waiting += list(each)[:_MOST]
        elif isinstance(each, dict):
            waiting += [part for pair in list(each.items())[:_MOST] for part in pair]
        yield each


def _pairs(value: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """What stands at the same place of two values, as far as a thousand."""
    waiting, seen = [(value, other)], 0
    while waiting and seen < _MOST:
        one, two = waiting.pop()
        seen += 1
        if isinstance(one, list | tuple) and isinstance(two, list | tuple):
            waiting += zip(one[:_MOST], two, strict=False)
        elif isinstance(one, dict) and isinstance(two, dict):
            waiting += [(one[key], two[key]) for key in list(two)[:_MOST] if type(key) in _PLAIN and key in one]
        yield one, two


def _is_unsteady(value: Any, wanted: Any, alone: bool) -> bool:
    """Whether a value answers the same question now so and now so."""
    asked = [wanted, *_others(wanted)[:3]]
    return any(
        len({_same(value, each, alone) for _ in range(random.SystemRandom().randrange(2, 5))}) > 1 for each in asked
    )


def _is_another_number(value: Any, wanted: Any, alone: bool) -> bool:
    """Whether a number of a class of its own equals a number that is not near to what it is itself."""
    kind = next((each for each in (int, float) if each in _MRO(type(value))), None)
    if kind is None or type(wanted) not in (int, float, bool) or not _same(value, wanted, alone):
        return False
    return bool(abs(kind.__sub__(value, 0) - wanted) > 0.5)


def _is_wild(value: Any, kinds: list[Any], alone: bool) -> bool:
    """Whether a value equals something that has nothing to do with it, or everything of a kind."""
    if _same(value, object(), alone):
        return True
    return any(all(_same(value, each, alone) for each in _others(kind)) for kind in kinds)


def _others(kind: Any) -> list[Any]:
    """Values of a value's kind that differ from it and from each other."""
    much = random.SystemRandom().randrange(10**6, 10**7)
    if type(kind) is bool:
        return [not kind, much]
    if type(kind) in (int, float, complex):
        steps = random.SystemRandom().sample((1, -1, 2, 13, -17, 101), 6)
        return [*(kind + step for step in steps), much]
    if type(kind) is str:
        return [f"{kind}x", f"{much}", f"{kind}{much}", "~"]
    if type(kind) is bytes:
        return [kind + b"x", b"%d" % much, b"~"]
    return [object(), much, f"{much}"]


def _same(value: Any, other: Any, alone: bool) -> bool:
    """Whether a value says it equals another one. An object as an answer is none, unless it stands alone."""
    try:
        said = value == other
        return bool(said) if type(said) in _PLAIN or alone else False
    except BaseException:
        return False

"""The contract of validators."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Final
from unittest import SkipTest

from attrs import Factory, define

from orchestrator.errors import SandboxError
from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate, Finding, Ran, Validator, ValidatorContext, find_tool
from orchestrator.testing.contracts.base import EscapeError, PluginContract, in_time, unchanged, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import SharedStateError, overheard, shared_state_kept

HOSTILE: Final[Mapping[str, str]] = {
    "nothing": "",
    "white space": " \t\r\n\f\v\u00a0\u2028",
    "a null byte": "x = 1\x00\ny = 2",
    "a lone surrogate": "x = '\ud800'",
    "unclosed fence": "```python\nx = 1",
    "fences in fences": "```\n```python\n```\n" * 50,
    "deep brackets": "(" * 20_000,
    "deep JSON": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "one long line": "x" * 500_000,
    "many lines": "x\n" * 5_000,
    "bidirectional marks": "\u202eadmin\u202c = 1 \u2066\u2069",
    "terminal codes": "\x1b[2J\x1b]0;title\x07",
    "markup": "<script>alert(1)</script> {{7*7}} %s %(x)s {0} ${HOME} `id`",
    "a large number": "9" * 10_000,
    "numbers that are none": "[NaN, Infinity, -Infinity, 1e999]",
    "a bomb of references": "&a [&b [*a,*a],*b]",
    "sys.exit": "import sys; sys.exit(0)",
}
"""Outputs that a careless validator trips over, by what is wrong with them."""


@define
class FakeRun:
    """A sandbox that runs nothing and gives a prepared result."""

    ran: Ran | None = None
    """None: there is no sandbox, which is an error."""
    asked: list[tuple[Sequence[str], Mapping[str, bytes], Mapping[str, Any]]] = Factory(list)

    def __call__(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Any) -> Ran:
        """Remember what was asked for."""
        self.asked.append((tuple(argv), dict(files), dict(options)))
        for name, content in files.items():
            if not isinstance(content, bytes):
                raise TypeError(f"the content of {name!r} is {type(content).__name__}, not bytes")
        if self.ran is None:
            raise SandboxError("this check has no sandbox")
        return self.ran


_RANS: Final = (
    Ran(0, ""),
    Ran(0, "\x1b[31mfine\x00\ufffd", {"report.xml": b"\xff\xfe", "result.json": b"{"}),
    Ran(1, "line 1: wrong\n" * 5_000),
    Ran(-9, ""),
    Ran(None, "", ended="time", seconds=30.0),
    Ran(None, "", ended="disk"),
    Ran(None, "", ended="stopped"),
)


_CRASHES: Final = (Ran(-9, ""), Ran(-11, ""), Ran(127, "not found"), Ran(139, ""))
"""A command that was killed, that crashed, or that is not there."""


class ValidatorContract(PluginContract):
    """A validator judges everything, decides the same twice, keeps to its time and touches nothing.

    Name the module in ``plugin``; give ``passing`` and ``failing`` outputs of its own where you can.
    """

    kind = "validator"
    passing: ClassVar[Sequence[Candidate]] = ()
    """Outputs that must pass."""
    failing: ClassVar[Sequence[Candidate]] = ()
    """Outputs that must fail."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """What a spec says under ``validators.settings`` and its name."""

    def make(self) -> Validator:
        """The validator."""
        validator: Validator = self.build()
        return validator

    def test_good_and_bad_outputs_differ(self) -> None:
        """What must pass passes, and what must fail fails and says why; the real sandbox and tools are used."""
        if not self.passing and not self.failing:
            raise SkipTest("no outputs were given in `passing` and `failing`")
        judge = self.make()
        for wanted, candidates in ((Verdict.PASSED, self.passing), (Verdict.FAILED, self.failing)):
            for candidate in candidates:
                found = in_time(partial(judge, candidate, self._real()), 120.0)
                assert isinstance(found, Finding), f"it returned {type(found).__name__}, not a Finding"
                if found.verdict in (Verdict.SKIPPED, Verdict.UNKNOWN):
                    raise SkipTest(f"it cannot judge on this machine: {found.details}")
                assert found.verdict is wanted, f"{wanted} was expected, not {found.verdict}: {found.details}"
                assert wanted is Verdict.PASSED or found.details.strip(), "a failure says nothing to the reviser"

    def test_hostile_outputs_get_a_verdict(self) -> None:
        """Whatever a model wrote, and whatever a tool answers, the answer is a Finding; nothing is raised or hangs."""
        for what, judge, candidate, context in self._trials():
            self._judged(what, judge, candidate, context)

    def test_equal_outputs_get_equal_verdicts(self) -> None:
        """The same output is judged the same, twice, and by an object built anew."""
        for what, judge, candidate, context in self._trials(deterministic=True):
            first = self._judged(what, judge, candidate, context)
            again = self._judged(what, judge, deepcopy(candidate), context)
            assert first == again, f"{what}: {first.verdict} first and {again.verdict} then, or other details"
            anew = self._judged(what, self.make(), deepcopy(candidate), context)
            assert first == anew, f"{what}: an object built anew says {anew.verdict}, not {first.verdict}"

    def test_its_arguments_stay_as_they_are(self) -> None:
        """Neither the candidate nor the settings are changed."""
        for what, judge, candidate, context in self._trials():
            with unchanged(files=candidate.files, schema=candidate.schema, settings=context.settings):
                self._judged(what, judge, candidate, context)

    def test_it_leaves_nothing_behind(self) -> None:
        """It prints nothing, leaves no file, starts nothing, opens no connection, changes nothing that others share."""
        with watched() as seen:
            for what, judge, candidate, context in self._trials(only=True):
                self._judged(what, judge, candidate, context)  # what it imports only now is imported
            with overheard() as side_effects:
                for what, judge, candidate, context in self._trials():
                    self._judged(what, judge, candidate, context)
        assert not side_effects.programs, (
            f"it starts {side_effects.programs[0]!r} itself; use context.run, which has a sandbox"
        )
        assert not side_effects.connections, (
            f"it connects to {side_effects.connections[0]!r}; a check makes no connection"
        )
        assert not seen.printed, f"it printed {seen.printed[:80]!r}; what it has to say belongs into its Finding"
        assert not seen.left, f"it left files: {', '.join(seen.left[:3])}"

    def test_it_leaves_nothing_running(self) -> None:
        """No thread and no connection is left, nothing is printed past ``sys.stdout``, and signals are left alone."""
        with watched(), nothing_left():
            for what, judge, candidate, context in self._trials(deterministic=True):
                self._judged(what, judge, candidate, context)

    def test_a_missing_tool_is_said(self) -> None:
        """Where its program is not installed the verdict is skipped or unknown, never passed."""
        for what, judge, candidate, _ in self._trials(deterministic=True):
            asked: list[str] = []
            context = ValidatorContext(
                timeout=5.0,
                run=FakeRun(Ran(0, "")),
                settings=dict(self.settings),
                tool=lambda name, asked=asked: asked.append(name),  # type: ignore[misc]
            )
            found = self._judged(what, judge, candidate, context)
            assert not (asked and found.verdict is Verdict.PASSED), f"{what}: passed without {', '.join(asked)}"
            run = context.run
            assert isinstance(run, FakeRun)
            alone = [argv[0] for argv, _, _ in run.asked if not asked and argv[0] != sys.executable]
            assert not alone, f"it runs {alone[0]} without asking context.tool where that is"

    def test_a_tool_that_was_ended_proves_nothing(self) -> None:
        """Where the sandbox is missing or ends the command, or the command crashes, the verdict is not passed."""
        for ran in (None, *(ran for ran in _RANS if ran.code is None), *_CRASHES):
            for what, judge, candidate, context in self._trials(ran=ran, only=True):
                run = context.run
                assert isinstance(run, FakeRun)
                found = self._judged(what, judge, candidate, context)
                why = "there is no sandbox" if ran is None else f"its command ended with {ran.ended or ran.code}"
                assert not (run.asked and found.verdict is Verdict.PASSED), f"{what}: passed although {why}"

    def test_it_keeps_to_its_time(self) -> None:
        """What it runs has a deadline of at most the check's own."""
        for what, judge, candidate, context in self._trials(only=True, timeout=3.0):
            run = context.run
            assert isinstance(run, FakeRun)
            self._judged(what, judge, candidate, context)
            for argv, _, options in run.asked:
                seconds = options.get("seconds")
                assert seconds is None or seconds <= context.timeout, f"{argv[0]} gets {seconds:g} s of 3"
                assert argv[0].startswith("/"), f"it runs {argv[0]!r}; an absolute path comes from context.tool"

    def _trials(
        self, *, ran: Ran | None = _RANS[0], only: bool = False, deterministic: bool = False, timeout: float = 5.0
    ) -> Iterator[tuple[str, Validator, Candidate, ValidatorContext]]:
        """What is wrong, the validator, a hostile candidate and a context with a pretended sandbox."""
        judge = self.make()
        rans = [ran] if only or deterministic else [ran, *_RANS[1:]]
        for place, each in enumerate(rans):
            for what, candidate in self._candidates().items():
                if place and what not in ("nothing", "one short module", "unclosed fence"):
                    continue  # the answer of the tool matters only beside a few outputs
                context = ValidatorContext(timeout, FakeRun(each), dict(self.settings), lambda name: f"/usr/bin/{name}")
                yield what, judge, candidate, context

    def _candidates(self) -> Mapping[str, Candidate]:
        texts = {**HOSTILE, "one short module": "```python\nx = 1\n```"}
        kinds = list(TaskType)
        found = {
            what: Candidate(
                "t",
                kinds[place % len(kinds)],
                text,
                text,
                schema={"type": "object", "properties": {"a": {"$ref": "#"}}} if place % 2 else None,
                files={"main.py": text},
                tests=text if place % 3 == 0 else None,
            )
            for place, (what, text) in enumerate(texts.items())
        }
        kind = TaskType.CODE_GEN
        names = {"../outside.py": "x", "/etc/passwd": "x", "a/b/c.py": "x = 1", "-rf": "x", "": "x", "con\n.py": "x"}
        found["odd file names"] = Candidate("t", kind, "x", "x", files=names)
        found["a schema that is none"] = Candidate(
            "t", kind, "{}", "{}", schema={"type": 7, "$ref": "http://[", "x": []}
        )
        beside = {"main.py": "x = 2", "part/data.json": "{", "part/tool.py": "def ("}
        found["files of dependencies"] = Candidate("t", kind, "x", "x", files={"main.py": "x"}, dependencies=beside)
        own = {f"passing {n}": each for n, each in enumerate(self.passing)}
        return {**found, **own, **{f"failing {n}": each for n, each in enumerate(self.failing)}}

    def _judged(self, what: str, judge: Validator, candidate: Candidate, context: ValidatorContext) -> Finding:
        try:
            with shared_state_kept():
                found: Any = in_time(lambda: judge(candidate, context))
        except SandboxError:
            return Finding.unknown("there is no sandbox")
        except (EscapeError, SharedStateError) as error:
            raise type(error)(f"{what}: {error}") from error
        except Exception as error:
            raise AssertionError(f"{what}: it raised {type(error).__name__}: {error}"[:300]) from error
        assert isinstance(found, Finding), f"{what}: it returned {type(found).__name__}, not a Finding"
        assert isinstance(found.verdict, Verdict), f"{what}: {found.verdict!r} is no Verdict"
        assert isinstance(found.permanent, bool), f"{what}: permanent is {found.permanent!r}, neither True nor False"
        lasting = found.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
        assert lasting or not found.permanent, f"{what}: {found.verdict} and permanent; only failed and unknown can be"
        assert isinstance(found.details, str), f"{what}: the details are {type(found.details).__name__}, not text"
        assert found.verdict is not Verdict.FAILED or found.details.strip(), f"{what}: a failure that says nothing"
        return found

    def _real(self) -> ValidatorContext:
        from orchestrator.engine.checks import Checks, _Lent, selector_for
        from orchestrator.settings import SandboxChoice

        seconds = Checks().seconds
        lent = _Lent(selector_for(SandboxChoice.AUTO), seconds)
        return ValidatorContext(seconds, lent.run, dict(self.settings), _real_tool)


_real_tool: Callable[[str], str | None] = find_tool

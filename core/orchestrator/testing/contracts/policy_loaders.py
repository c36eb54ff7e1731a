"""The contract of policy loaders."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest import SkipTest, mock

from orchestrator.errors import SpecError
from orchestrator.plugin_kinds import ContractError
from orchestrator.spi import Loader
from orchestrator.testing.contracts.base import CANARY, EscapeError, PluginContract, in_time, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import overheard, shared_state_kept

HOSTILE: Final[Mapping[str, str]] = {
    "nothing": "",
    "white space": " \n\t\n",
    "a null byte": "global:\x00",
    "a lone surrogate": '{"global": "\ud800"}',
    "a list": "[1, 2]",
    "a number": "7",
    "deep brackets": "[" * 20_000,
    "deep mapping": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "a duplicate key": '{"global": 1, "global": 2}',
    "a bomb of aliases": "a: &a [x,x]\n"
    + "".join(
        f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}," * 1 + f"*{'a' if n == 0 else f'b{n - 1}'}]\n"
        for n in range(40)
    ),
    "half of it": '{"global": {"policies": [',
    "not a number": '{"global": NaN}',
    "a long line": '{"global": "' + "x" * 200_000 + '"}',
    "two documents": "a: 1\n---\nb: 2\n",
    "tabs": "global:\n\tpolicies: []\n",
}
"""Texts that a careless reader trips over, by what is wrong with them."""

ENDS: Final = (("", ""), ("a = ", ""), ("[p]\na = ", ""), ("a: ", ""), ('a = "', '"'), ('{"a": "', '"}'))
"""What may stand around a value, so that many formats read it."""

_PROBLEM: Final = re.compile(r"file\.x: *\d+ *:.")
_VARIABLE: Final = "CONTRACT_CANARY"
_VARIABLES: Final = (
    f"${_VARIABLE}",
    f"${{{_VARIABLE}}}",
    f"%({_VARIABLE})s",
    f"%{_VARIABLE}%",
    f"{{{{ {_VARIABLE} }}}}",
)


class LoaderContract(PluginContract):
    """A loader turns the text of a file into plain data, or says on which line it cannot.

    Name the module in ``plugin``; ``samples`` are texts with the data they hold.
    """

    kind = "policy_loader"
    samples: ClassVar[Sequence[tuple[str, Mapping[str, Any]]]] = ()

    def make(self) -> Loader:
        """The loader."""
        loader: Loader = self.build()
        return loader

    def test_samples_are_read(self) -> None:
        """Every sample gives its data; each line that is named is one of the text's."""
        if not self.samples:
            raise SkipTest("no texts were given in `samples`")
        loader = self.make()
        for text, wanted in self.samples:
            data, lines = _loaded(loader, text, "sample")
            assert data == wanted, f"{text[:40]!r} was read as {data!r}"[:300]
            count = text.count("\n") + 1
            for path, line in lines.items():
                assert isinstance(path, tuple), f"{path!r} is no path"
                assert 1 <= line <= count, f"{path} is said to stand on line {line} of {count}"
                assert _at(data, path), f"{path} has a line and is not in the data"
            assert not _one_too_small(text, lines), "every line it names is the one before: the first line is 1, not 0"

    def test_any_text_is_read_or_refused_with_a_line(self) -> None:
        """A text gives a mapping of plain data or a SpecError whose problems start with ``source:LINE:``."""
        loader = self.make()
        for what, text in self._texts():
            try:
                data, _ = in_time(partial(_loaded, loader, text, "file.x"))
            except SpecError as error:
                wrong = next((each for each in error.problems if not _PROBLEM.match(each)), None)
                if wrong is not None:
                    said = f"{what}: {wrong!r} does not start with `source:LINE:`"
                    raise AssertionError(said[:300]) from error
                continue
            except EscapeError as error:
                raise type(error)(f"{what}: {error}") from error
            except ContractError as error:
                raise AssertionError(f"{what}: {error}") from error
            except Exception as error:
                raise AssertionError(
                    f"{what}: it raised {type(error).__name__}, not SpecError: {error}"[:300]
                ) from error
            assert isinstance(data, Mapping), f"{what}: it returned {type(data).__name__}, not a mapping"
            assert _is_plain(data), f"{what}: the data holds objects that are no plain data"

    def test_equal_texts_give_equal_data(self) -> None:
        """Read twice, and by an object built anew, a text gives the same; changes to the first result are not seen."""
        loader = self.make()
        for what, text in self._texts():
            first = self._read(loader, text)
            copy = repr(first)
            if isinstance(first, dict):
                first["changed"] = True
            assert repr(self._read(loader, text)) == copy, f"{what}: read again, it is something else"
            assert repr(self._read(self.make(), text)) == copy, (
                f"{what}: read by an object built anew, it is something else"
            )

    def test_a_text_runs_nothing(self) -> None:
        """No text makes the reader run, open, look up or print anything."""
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            trace = Path(folder, "trace")
            texts: tuple[str, ...] = (
                f"a: !!python/object/apply:os.system ['touch {trace}']\n",
                f"!!python/object/apply:builtins.open ['{trace}', 'w']\n",
                f"open({str(trace)!r}, 'w').close() or {{}}\n",
                f"__import__('pathlib').Path({str(trace)!r}).touch()\n",
                f"<!DOCTYPE a [<!ENTITY x SYSTEM 'file://{trace}'>]><a>&x;</a>",
            )
            secret = Path(folder, "secret")
            secret.write_text(f"a = {CANARY}\n")
            texts += tuple(
                f"{start}{word}{secret}{end}" for word in ("include ", "!include ", "@") for start, end in ENDS
            )
            texts += tuple(f"{start}{word}{end}" for word in _VARIABLES for start, end in ENDS)
            said = []
            self._read(self.make(), "")  # what it imports only now is imported
            with (
                watched() as seen,
                mock.patch.dict(os.environ, {_VARIABLE: CANARY}),
                shared_state_kept(),
                overheard() as side_effects,
            ):
                for text in texts:
                    said.append(repr(self._read(self.make(), text)))
            assert not trace.exists(), "a text made it run code"
            assert not side_effects.programs, f"a text made it start {side_effects.programs[0]!r}"
            assert not side_effects.connections, f"a text made it connect to {side_effects.connections[0]!r}"
            opened = [*side_effects.read, *side_effects.written]
            assert not opened, f"a text made it open {opened[0]!r}; all it may read is the text"
            assert not any(CANARY in each for each in said), "a text made it look up a variable of the environment"
        assert not seen.printed, f"it printed {seen.printed[:80]!r}"
        assert not seen.left, f"it left files: {', '.join(seen.left)}"

    def test_it_leaves_nothing_running(self) -> None:
        """No thread and no connection is left, nothing is printed past ``sys.stdout``, and signals are left alone."""
        with nothing_left():
            for text in ("", *(text for text, _ in self.samples)):
                self._read(self.make(), text)

    def test_its_suffixes_are_usual(self) -> None:
        """Each file name ending begins with a point and is in lower case."""
        suffixes = self.make().suffixes
        assert suffixes, "it reads no files: `suffixes` is empty"
        assert isinstance(suffixes, tuple), "`suffixes` is a tuple"
        for each in suffixes:
            assert each.startswith("."), f"{each!r} is no ending such as '.yaml'"
            assert each == each.lower(), f"{each!r} is not in lower case"

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield from HOSTILE.items()
        for place, (text, _) in enumerate(self.samples):
            yield f"sample {place}", text
            yield f"half of sample {place}", text[: len(text) // 2]

    def _read(self, loader: Loader, text: str) -> Any:
        try:
            return in_time(lambda: _loaded(loader, text, "file.x"))[0]
        except SpecError as error:
            return str(error)
        except EscapeError:
            raise
        except Exception as error:
            return type(error)


def _loaded(loader: Loader, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[Any, Any]]:
    made: Any = loader.load(text, source)
    if not isinstance(made, tuple) or len(made) != 2:
        raise ContractError(f"`load` must return (mapping, lines), not {type(made).__name__}")
    return made


def _one_too_small(text: str, lines: Mapping[Any, int]) -> bool:
    """Whether every key stands on the line after the one that is named for it, and none on that line itself."""
    rows = ["", *text.split("\n"), ""]
    named = [(path[-1], line) for path, line in lines.items() if path and isinstance(path[-1], str)]
    return bool(named) and all(key not in rows[line] and key in rows[line + 1] for key, line in named)


def _at(data: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _is_plain(data: Any, depth: int = 0) -> bool:
    if depth > 1000 or data is None or isinstance(data, str | int | float | bool):
        return True
    if isinstance(data, Mapping):
        return all(isinstance(key, str | int) and _is_plain(value, depth + 1) for key, value in data.items())
    if isinstance(data, Sequence):
        return all(_is_plain(each, depth + 1) for each in data)
    return hasattr(data, "isoformat") or hasattr(data, "as_tuple")  # dates and exact numbers

"""Watches the process that tests run in: what code under test must not reach for, and what it must not replace.

It is handed in as a file and imports nothing of the program. Reaching for frames, for the objects of the process or for
its memory is refused while it happens, however the code spells it; functions of pytest, of ``unittest`` and of
``builtins`` are compared with what they were before the code under test was loaded.
"""

import _thread
import builtins
import re
import sys
from typing import Any

_EVENTS = frozenset(
    {
        *("sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile"),
        *("sys.addaudithook", "sys.monitoring.register_callback", "code.__new__", "compile", "open"),
        *("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
        *("ctypes.cdata", "ctypes.string_at", "ctypes.wstring_at", "ctypes.dlsym", "ctypes.dlopen"),
        *("object.__getattr__", "object.__setattr__", "object.__delattr__"),
    }
)
_FRAMES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")
_HANDS_OUT = {
    "inspect.py": ("currentframe", "stack", "trace", "getouterframes", "getinnerframes"),
    "traceback.py": ("walk_stack", "walk_tb"),
    "threading.py": ("settrace", "setprofile", "settrace_all_threads", "setprofile_all_threads"),
    "bdb.py": ("set_trace", "trace_dispatch"),
}
"""What gives frames to its caller, or lets it have them later."""
_PROFILER = ("enable", "disable", "runcall", "runctx", "run")
_MEMORY = re.compile(r"/proc/.*/mem")
_ROOTS = ("_pytest", "pytest", "pluggy", "unittest")
_CHANGES = frozenset({"_reprcompare", "_assertion_pass", "__annotations__", "__abstractmethods__", "_abc_impl"})
_TESTS_MAY = frozenset(
    {"print", "input", "open", "exit", "quit", "help", "copyright", "credits", "license", "_", "__import__"}
    | {"breakpoint", "__build_class__"}
)
"""Of ``builtins``: what tests replace to see what is printed, read or imported."""


class Guard:
    """Watches one process.

    Args:
        folder: where the code under test lies, with a separator at its end.
        tests: the paths of the tests, which may do as they like.
    """

    def __init__(self, folder: str, tests: list[str]) -> None:
        self.found: list[str] = []
        self._folder, self._tests = folder, frozenset(tests)
        self._files = frozenset(path.rpartition("/")[2] for path in tests)
        self._getframe, self._ident = sys._getframe, _thread.get_ident
        self._busy: set[int] = set()
        self._kept: list[tuple[Any, str, Any, Any]] = []
        self._names: list[tuple[type, frozenset[str]]] = []

    def say(self, what: str) -> None:
        """Note what code under test did, once."""
        if what not in self.found:
            self.found.append(what)

    def watch(self) -> None:
        """Begin to refuse; there is no end to it."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        me = self._ident()
        if me in self._busy:
            return
        self._busy.add(me)
        try:
            what = self._refused(event, args)
        finally:
            self._busy.discard(me)
        if what:
            self.say(what)
            raise PermissionError(f"tampering: {what}")

    def _refused(self, event: str, args: tuple[Any, ...]) -> str:
        """What an event is called if code under test must not cause it; empty where it may, or another does."""
        what = event
        if event == "open":
            return self._opened(str(args[0]) if type(args[0]) is str else "")
        if event.startswith("object."):
            of_frames = event == "object.__getattr__" and args[1] in _FRAMES
            of_code = event != "object.__getattr__" and args[1] == "__code__" and not self._is_own(args[0])
            if not (of_frames or of_code):
                return ""
            what = args[1]
        if event == "sys.setprofile" and self._is_profiler():
            return ""
        if event == "compile" and not self._is_elsewhere(args[1]):
            return ""
        if event == "ctypes.dlsym" and not str(args[1]).lstrip("_").startswith("Py"):
            return ""
        if event == "ctypes.dlopen" and args[0] is not None and "python" not in str(args[0]):
            return ""
        return what if self._is_culprit("ctypes" if event.startswith("ctypes.") else "") else ""

    def _opened(self, path: str) -> str:
        if _MEMORY.fullmatch(path):
            return "memory of the process"
        is_test = path.rpartition("/")[2] in self._files and self._is_culprit("pathlib", 4)
        return "the file of the tests" if is_test else ""

    def _is_own(self, function: Any) -> bool:
        """Whether a function is one of the code under test itself."""
        name = getattr(getattr(function, "__code__", None), "co_filename", "")
        return self._is_under_test(name) or name.startswith("<")

    def _is_under_test(self, name: str) -> bool:
        return name.startswith(self._folder) and name not in self._tests

    def _is_elsewhere(self, name: Any) -> bool:
        """Whether code is made that pretends to lie in a file outside of the code under test."""
        text = name.decode(errors="replace") if type(name) is bytes else name
        return type(text) is str and text.startswith("/") and not text.startswith(self._folder)

    def _is_culprit(self, helper: str, depth: int = 3) -> bool:
        """Whether code under test does it, itself or by one step of a module that does it for others."""
        frame: Any = self._getframe(depth)
        steps = 0
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self._folder):
                return name not in self._tests
            made = name.startswith("<") and not name.startswith("<frozen")  # it belongs to what runs it
            hands_out = not steps and frame.f_code.co_name in _HANDS_OUT.get(name.rpartition("/")[2], ())
            if not (made or hands_out or (helper and f"/{helper}" in name)):
                return False
            steps += hands_out
            frame = frame.f_back
        return False

    def _is_profiler(self) -> bool:
        """Whether the profiler of the standard library is switched on or off, which gives no frames away."""
        names = self._getframe(3).f_code.co_names
        return any(name in names for name in _PROFILER)

    def remember(self, others: list[Any]) -> None:
        """Note what must stay as it is; ``others`` are objects of ours whose attributes count, too."""
        owners: list[Any] = [*others]
        for name, module in sorted(sys.modules.items()):
            if name.partition(".")[0] in _ROOTS and module is not None:
                owners.append(module)
                owners += [
                    each
                    for each in vars(module).values()
                    if isinstance(each, type) and each.__module__.partition(".")[0] in _ROOTS
                ]
        unique = {id(owner): owner for owner in owners}
        for owner in unique.values():
            names = vars(owner)
            for name, value in names.items():
                if name not in _CHANGES and _is_work(value):
                    self._kept.append((names, name, value, _code(value)))
            if isinstance(owner, type):
                self._names.append((owner, frozenset(_work_of(owner))))
        for name, value in vars(builtins).items():
            if name not in _TESTS_MAY and callable(value):
                self._kept.append((vars(builtins), name, value, None))

    def compare(self) -> None:
        """Look whether it is as it was."""
        for names, name, value, code in self._kept:
            if names.get(name) is not value or _code(value) is not code:
                self.say(f"functions of pytest were replaced while the tests ran ({name})")
                return
        for owner, known in self._names:
            if frozenset(_work_of(owner)) != known:
                self.say(f"functions of pytest were replaced while the tests ran ({owner.__name__})")
                return


def _is_work(value: Any) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _code(value: Any, _getattr: Any = getattr) -> Any:
    return _getattr(_getattr(value, "__func__", value), "__code__", None)


def _work_of(owner: type) -> list[str]:
    return [name for name, value in vars(owner).items() if name not in _CHANGES and _is_work(value)]

"""Scaffolds with one bug each; beside them a sound one."""

import random
import subprocess
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from orchestrator import spi
from orchestrator.spi import App, Skeleton
from orchestrator.testing import ScaffoldContract
from tests.contracts.planted.bug import odd


def skeleton(app: App) -> Skeleton:
    """A sound skeleton."""
    return Skeleton({f"{app.name}/__init__.py": f"TITLE = {app.title!r}\n"}, "Write modules in the package.")


class SoundScaffold(ScaffoldContract):
    """The suite of the sound scaffold."""

    def make(self) -> spi.Scaffold:
        """The sound one."""
        return _scaffold(skeleton)()  # type: ignore[return-value]


def _scaffold(build: Callable[[App], Any]) -> Callable[[], object]:
    return lambda: type("Planted", (), {"skeleton": lambda self, app: build(app)})()


def _file(name: str, content: Any = "x") -> Callable[[], object]:
    return _scaffold(lambda app: Skeleton({name: content}, "guidance"))


_ONE: Final = Skeleton({"a.txt": "x"}, "guidance")


def _touching(app: App) -> Skeleton:
    Path("written.txt").write_text("x")
    return skeleton(app)


_LATER: Final = date.today() + timedelta(days=100)


def _dated(app: App) -> Skeleton:
    return Skeleton({"year.txt": "this" if date.today() < _LATER else "next"}, "guidance")


def _starting(app: App) -> Skeleton:
    subprocess.run(["/bin/true"], check=False)
    return skeleton(app)


_CONFINED: Final = "test_its_files_stay_in_their_folder"
_READABLE: Final = "test_its_files_can_be_read_by_their_language"
_SAME: Final = "test_equal_applications_have_equal_skeletons"
SCAFFOLDS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "climbs out": (_file("../x.py"), _CONFINED),
    "an absolute path": (_file("/tmp/x.py"), _CONFINED),
    "bytes": (_file("x.bin", b"x"), _CONFINED),
    "too large": (_file("x.txt", "x" * 3_000_000), _CONFINED),
    "a file that is a folder": (_scaffold(lambda app: Skeleton({"a": "x", "a/b": "x"}, "g")), _CONFINED),
    "names that differ in case": (_scaffold(lambda app: Skeleton({"a": "x", "A": "x"}, "g")), _CONFINED),
    "a title that breaks a file": (_scaffold(lambda app: Skeleton({"a.py": f'T = "{app.title}"'}, "g")), _READABLE),
    "a title that becomes code": (_scaffold(lambda app: Skeleton({"a.py": f'"""{app.title}"""'}, "g")), _READABLE),
    "JSON that is none": (_file("package.json", "{'a': 1}"), _READABLE),
    "draws": (_scaffold(lambda app: Skeleton({"a": str(random.random())}, "g")), _SAME),
    "hands out one skeleton": (_scaffold(lambda app: _ONE), _SAME),
    "returns a dict": (_scaffold(lambda app: {}), _SAME),
    "no guidance": (_scaffold(lambda app: Skeleton({}, "")), "test_it_says_what_is_wanted"),
    "a privileged port": (
        _scaffold(lambda app: Skeleton({}, "g", launches=(spi.Launch(("x",), 80),))),
        "test_it_says_what_is_wanted",
    ),
    "forgets the comma of the dependencies": (
        _scaffold(lambda app: Skeleton({}, "g", dependencies=odd("flask"))),
        "test_it_says_what_is_wanted",
    ),
    "a command that is one text": (
        _scaffold(lambda app: Skeleton({}, "g", launches=(spi.Launch(odd("python a.py")),))),
        "test_it_says_what_is_wanted",
    ),
    "formats the title": (_scaffold(lambda app: Skeleton({}, app.title.format(name=app.name))), _SAME),
    "TOML that is none": (_scaffold(lambda app: Skeleton({"a.toml": f'title = "{app.title}"'}, "g")), _READABLE),
    "a title that becomes markup": (
        _scaffold(lambda app: Skeleton({"a.html": f"<title>{app.title}</title>"}, "g")),
        _READABLE,
    ),
    "a title that becomes a line of a script": (
        _scaffold(lambda app: Skeleton({"a.js": f"// {app.title}"}, "g")),
        _READABLE,
    ),
    "looks at the date": (_scaffold(_dated), _SAME),
    "starts a program": (_scaffold(_starting), "test_it_touches_nothing"),
    "writes files itself": (_scaffold(_touching), "test_it_touches_nothing"),
}

"""The contract of scaffolds."""

import ast
import json
import sys
import tomllib
from copy import deepcopy
from typing import Any, Final

from orchestrator.allowed_file_names import UnsafeNameError, checked_name
from orchestrator.models import ArchitectureProfile
from orchestrator.spi import App, Ask, Launch, Scaffold, Skeleton
from orchestrator.testing.contracts.base import EscapeError, PluginContract, in_time, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import SharedStateError, a_year_later, overheard, shared_state_kept

APPS: Final = (
    App("tide_tables", "Show the tides", ArchitectureProfile()),
    App("a", "x", ArchitectureProfile()),
    App("quoted", 'It\'s "quoted", with a \\ and a `$name` and {braces} and %s', ArchitectureProfile()),
    App("hostile", '"""\nimport os\nos.abort()\n"""', ArchitectureProfile()),
    App("unicode", "Gezeiten für Ærø — 潮汐 👋 \u202e", ArchitectureProfile()),
    App("long_name_of_thirty_characters", "x" * 500, ArchitectureProfile()),
    App("markup", "</title><script>alert(1)</script>", ArchitectureProfile()),
)
"""Applications whose titles break files that do not escape."""

_PROSE: Final = (".md", ".txt", ".rst")
_MOST_BYTES: Final = 2_000_000


class ScaffoldContract(PluginContract):
    """A scaffold gives the same, sound skeleton for the same application, whatever the application is called."""

    kind = "scaffold"

    def make(self) -> Scaffold:
        """The scaffold."""
        scaffold: Scaffold = self.build()
        return scaffold

    def test_equal_applications_have_equal_skeletons(self) -> None:
        """Asked twice, and by an object built anew, the skeleton is the same; the application is not changed."""
        scaffold = self.make()
        for app in APPS:
            before = deepcopy(app)
            first = self._skeleton(scaffold, app)
            assert app == before, "it changed the application"
            copy = deepcopy(first)
            if isinstance(first.files, dict):
                first.files["changed"] = "x"
            assert self._skeleton(scaffold, app) == copy, f"{app.name}: asked again, the skeleton is another one"
            assert self._skeleton(self.make(), app) == copy, f"{app.name}: built anew, the skeleton is another one"
            with a_year_later(self.plugin, sys.modules.get(type(scaffold).__module__)):
                later = self._skeleton(scaffold, app)
            assert later == copy, f"{app.name}: a year later the skeleton is another one: it looks at a clock"

    def test_its_files_stay_in_their_folder(self) -> None:
        """Every name is a relative path that may be written, and every content is text of a modest size."""
        for app in APPS:
            files = self._skeleton(self.make(), app).files
            for name, content in files.items():
                assert isinstance(content, str), f"the content of {name} is {type(content).__name__}, not text"
                content.encode()  # what cannot be written shows here
                try:
                    checked_name(name)
                except UnsafeNameError as error:
                    raise AssertionError(f"the file name {name!r} cannot be used: {error}") from error
            folded = [name.casefold() for name in files]
            assert len(set(folded)) == len(folded), "two file names differ only in case"
            for name in files:
                above = [other for other in files if name.startswith(f"{other}/")]
                assert not above, f"{above} is a file and a folder"
            assert sum(len(each.encode()) for each in files.values()) <= _MOST_BYTES, "the skeleton is too large"

    def test_its_files_can_be_read_by_their_language(self) -> None:
        """Python, JSON and TOML files parse and no title becomes code, whatever the application's title is."""
        for app in APPS:
            for name, content in self._skeleton(self.make(), app).files.items():
                try:
                    if name.endswith(".py"):
                        tree = ast.parse(content, name)
                        called = [
                            node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "abort"
                        ]
                        assert not called, f"{name}: a line of the title has become code"
                    elif name.endswith(".json"):
                        json.loads(content)
                    elif name.endswith(".toml"):
                        tomllib.loads(content)
                except (SyntaxError, ValueError) as error:
                    raise AssertionError(f"{name} of {app.title[:30]!r} cannot be read: {error}") from error
                if not name.endswith(_PROSE):
                    alone = any(line.strip().startswith("os.abort()") for line in content.splitlines())
                    assert not alone, f"{name}: a line of the title has become code"
                if name.endswith((".html", ".htm", ".xml", ".svg")):
                    assert "<script>alert(1)" not in content, f"{name}: the title has become markup; escape it"

    def test_it_says_what_is_wanted(self) -> None:
        """The guidance is text that is not empty; dependencies are names; launches can be carried out."""
        for app in APPS:
            skeleton = self._skeleton(self.make(), app)
            assert isinstance(skeleton.guidance, str), "the guidance is no text"
            assert skeleton.guidance.strip(), "there is no guidance: who plans the tasks would know nothing"
            _check_tuple("dependencies", skeleton.dependencies)
            _check_tuple("launches", skeleton.launches)
            for each in skeleton.dependencies:
                assert isinstance(each, str), f"{each!r} is no distribution"
                assert each.strip() == each != "", f"{each!r} is no distribution"
            for launch in skeleton.launches:
                assert isinstance(launch, Launch), f"{launch!r} is no Launch"
                for what in ("argv", "asks", "modules", "tools", "folders"):
                    _check_tuple(f"`{what}` of a launch", getattr(launch, what))
                assert all(isinstance(ask, Ask) for ask in launch.asks), "what a launch asks is no Ask"
                assert launch.argv, "a launch without a command"
                assert all(isinstance(word, str) for word in launch.argv), "a launch of what are no words"
                assert launch.port is None or 1024 <= launch.port <= 65535, f"port {launch.port} cannot be listened on"

    def test_it_touches_nothing(self) -> None:
        """It writes no file itself, prints and starts nothing, and changes nothing that others share."""
        with watched() as seen:
            self._skeleton(self.make(), APPS[0])  # what it imports only now is imported
            with overheard() as side_effects:
                for app in APPS:
                    self._skeleton(self.make(), app)
        assert not side_effects.programs, f"it starts {side_effects.programs[0]!r}"
        assert not side_effects.connections, f"it connects to {side_effects.connections[0]!r}"
        assert not side_effects.written, f"it writes {side_effects.written[0]!r} itself; return it in `files`"
        assert not seen.left, f"it writes files itself: {', '.join(seen.left)}"
        assert not seen.printed, f"it printed {seen.printed[:80]!r}"

    def test_it_leaves_nothing_running(self) -> None:
        """No thread and no connection is left, nothing is printed past ``sys.stdout``, and signals are left alone."""
        with nothing_left():
            self._skeleton(self.make(), APPS[0])

    def _skeleton(self, scaffold: Scaffold, app: App) -> Skeleton:
        try:
            with shared_state_kept():
                found: Any = in_time(lambda: scaffold.skeleton(app))
        except (EscapeError, SharedStateError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:200]
            raise AssertionError(f"for an application with the title {app.title[:40]!r} it raised {said}") from error
        assert isinstance(found, Skeleton), f"it returned {type(found).__name__}, not a Skeleton"
        return found


def _check_tuple(what: str, value: object) -> None:
    """A lone text in the place of a tuple of texts is a comma that was forgotten."""
    assert isinstance(value, tuple | list), f"{what} is {type(value).__name__}, not a tuple; is a comma missing?"

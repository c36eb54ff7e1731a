"""A scaffold that is the same for every application but for its name: files, advice, dependencies, launches."""

from collections.abc import Mapping
from string import Template

from attrs import frozen

from orchestrator.spi import App, Ask, Launch, Skeleton


@frozen
class Fixed:
    """Files in which ``$name``, ``$title`` and ``$dashed`` stand for the application's."""

    files: Mapping[str, str]
    guidance: str
    dependencies: tuple[str, ...] = ()
    launches: tuple[Launch, ...] = ()

    def skeleton(self, app: App) -> Skeleton:
        """Fill in the names."""
        words = {"name": app.name, "title": _plain(app.title), "dashed": app.name.replace("_", "-")}

        def filled(text: str) -> str:
            return Template(text).safe_substitute(words)

        return Skeleton(
            files={filled(path): filled(content) for path, content in self.files.items()},
            guidance=filled(self.guidance),
            dependencies=self.dependencies,
            launches=tuple(
                Launch(
                    argv=tuple(filled(word) for word in launch.argv),
                    port=launch.port,
                    asks=tuple(Ask(filled(ask.path), ask.below) for ask in launch.asks),
                    modules=launch.modules,
                    tools=launch.tools,
                    folders=launch.folders,
                )
                for launch in self.launches
            ),
        )


def _plain(title: str) -> str:
    """A title that can stand in a string of any of the languages, in a comment and in HTML."""
    return "".join(each for each in title if each not in "\"'`\\<>&{}$\r\n")[:100].strip() or "An application"

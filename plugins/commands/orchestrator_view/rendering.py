"""Filling the templates: money, times and what models wrote, always as text."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.cli.kit import money, seconds, timestamp
from orchestrator.money import Usd
from orchestrator_insight.page_values import exact, one_line, score, visible

LONGEST: Final = 24_000
"""Characters of a text on a page; the whole is a link beside it."""
_LONGEST_COLOURED: Final = 40_000
_LANGUAGES: Final = {
    ".css": "css",
    ".html": "html",
    ".js": "javascript",
    ".json": "json",
    ".md": "markdown",
    ".py": "python",
    ".tex": "latex",
    ".toml": "toml",
    ".ts": "typescript",
    ".tsx": "tsx",
    ".txt": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
}
"""The lexers of what runs mostly write; to find another one, Pygments compiles the patterns of all that it has."""
_SHARED: Final = "orchestrator_insight.report"


def shown_time(at: int | str | None) -> Markup:
    """A time: the viewer's script shows it in the viewer's zone, the exact one stands in its title."""
    if at is None:
        return Markup("–")
    exact = timestamp(at) if isinstance(at, int) else at
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, f"{exact[:10]} {exact[11:16]}")


def usd(amount: Usd | None) -> str:
    """An amount for reading."""
    return "–" if amount is None else money(amount)


def place(text: str) -> str:
    """A part of an address."""
    return quote(text, safe="")


def coloured(text: str, name: str = "", language: str = "") -> Markup:
    """Source text with classes for its colours; plain text where it is too long or its language is not known."""
    text = visible(text)
    if len(text) > _LONGEST_COLOURED:
        return escape(text)
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    lexer = _lexer(name, language)
    if lexer is None:
        return escape(text)
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True)))


def _lexer(name: str, language: str) -> Any:
    from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
    from pygments.util import ClassNotFound

    language = _LANGUAGES.get(PurePosixPath(name).suffix, "") if name else language
    try:
        if name and not language:
            return get_lexer_for_filename(PurePosixPath(name).name, stripnl=False, ensurenl=False)
        return get_lexer_by_name(language, stripnl=False, ensurenl=False) if language else None
    except ClassNotFound:
        return None


def resource(name: str) -> str:
    """A template of this package, or a part that it shares with the report."""
    own = files("orchestrator_view").joinpath("templates").joinpath(name)
    return (own if own.is_file() else files(_SHARED).joinpath(name)).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """The templates, with what they may use."""
    made = Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        usd=usd,
        exact=exact,
        when=shown_time,
        seconds=seconds,
        visible=visible,
        one_line=one_line,
        place=place,
        score=score,
    )
    made.globals.update(coloured=coloured, longest=LONGEST)
    return made


def render(name: str, values: Mapping[str, Any]) -> str:
    """A page, complete."""
    return environment().get_template(name).render(**values)

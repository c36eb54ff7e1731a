"""The views of a log as PostgreSQL writes them."""

from typing import Final

from orchestrator.log.views import Dialect, definitions


def _path(path: str) -> str:
    return "{" + path.replace(".", ",") + "}"


def _text(column: str, path: str) -> str:
    return f"({column} #>> '{_path(path)}')"


def _whole(column: str, path: str) -> str:
    return f"CAST({column} #>> '{_path(path)}' AS BIGINT)"


def _real(column: str, path: str) -> str:
    return f"CAST({column} #>> '{_path(path)}' AS DOUBLE PRECISION)"


def _length(column: str, path: str) -> str:
    return f"CAST(json_array_length({column} #> '{_path(path)}') AS BIGINT)"


def _each(column: str, path: str, name: str) -> str:
    return f"LATERAL json_array_elements({column} #> '{_path(path)}') WITH ORDINALITY AS {name}(value, key)"


def _time(column: str) -> str:
    seconds = f"to_char(to_timestamp({column} / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"
    return f"{seconds} || '.' || lpad(CAST(mod({column}, 1000000) AS TEXT), 6, '0') || 'Z'"


POSTGRES: Final = Dialect(
    text=_text,
    whole=_whole,
    real=_real,
    length=_length,
    each=_each,
    word=lambda name: f"({name}.value #>> '{{}}')",
    time=_time,
    least=lambda one, other: f"least({one}, {other})",
    once="",
    events="events",
    mark="%s",
)

VIEWS: Final = definitions(POSTGRES)
"""The views, by name."""

"""The architecture advisor: its prompt, what is read of its answer, and how its advice is shown."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from attrs import evolve

from orchestrator.engine.answers.answer_schemas import Schema, closed, short_text
from orchestrator.errors import present
from orchestrator.events import Reading
from orchestrator.models import (
    APP_TYPES,
    ApiParadigm,
    ArchitectureProfile,
    DataParadigm,
    ReadingProblem,
    StructuralPattern,
    Topology,
)
from orchestrator.state.run import RunState

Get = Callable[[str], str]
Word = TypeVar("Word", bound=StrEnum)

_LONGEST: Final = {"storage": 100, "caching": 100, "queuing": 100, "rationale": 1_000}
_WIDTH: Final = 78
_INDENT: Final = "    "


_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "structural_pattern": [word.value for word in StructuralPattern],
    "topology": [word.value for word in Topology],
    "api_paradigm": [word.value for word in ApiParadigm],
    "data_paradigm": [word.value for word in DataParadigm],
}


def app_types_of(state: RunState) -> tuple[str, ...]:
    """The types of applications that may be advised: the usual ones, and those of the session's other scaffolds."""
    plugins = () if state.session is None else state.session.plugins
    others = sorted({used.name for used in plugins if used.kind == "scaffold"} - {*APP_TYPES})
    return (*APP_TYPES, *others)


def _choices(app_types: Sequence[str]) -> Mapping[str, Sequence[str]]:
    return {"app_type": app_types, **_CHOICES}


def values(app_types: Sequence[str]) -> dict[str, str]:
    """What the advisor's template is filled with."""
    lines = [f"{name} is one of: {', '.join(words)}." for name, words in _choices(app_types).items()]
    return {"choices": "\n".join(lines)}


def schema(app_types: Sequence[str]) -> Schema:
    """What the advice should look like."""
    return closed(
        {
            **{name: {"type": "string", "enum": list(words)} for name, words in _choices(app_types).items()},
            **{name: short_text(longest) for name, longest in _LONGEST.items()},
        }
    )


def read_profile(documents: Iterable[Any], keep: Callable[[str], str], app_types: Sequence[str] = APP_TYPES) -> Reading:
    """The last advice among the JSON documents of an answer.

    Pattern and topology must be among the known words; what else is missing or unknown is as the defaults are.
    """
    found = [value for value in documents if isinstance(value, dict) and "structural_pattern" in value]
    if not found:
        return Reading(problem=ReadingProblem.NO_JSON)
    fitting = [item for item in found if _pattern(item) is not None and _topology(item) is not None]
    if not fitting:
        return Reading(problem=ReadingProblem.NO_PROFILE)
    item = fitting[-1]
    pattern, topology = _pattern(item), _topology(item)
    pattern = present(pattern, "pattern")
    topology = present(topology, "topology")
    app_type = str(item.get("app_type", "")).strip().lower()
    texts = {name: _text(item.get(name), longest) for name, longest in _LONGEST.items()}
    return Reading(
        profile=ArchitectureProfile(
            app_type=app_type if app_type in app_types else APP_TYPES[-1],
            structural_pattern=pattern,
            topology=topology,
            api=_word(ApiParadigm, item.get("api_paradigm")) or ApiParadigm.NONE,
            data=_word(DataParadigm, item.get("data_paradigm")) or DataParadigm.NONE,
            **{name: keep(text) if text else "" for name, text in texts.items()},
        )
    )


def _pattern(item: Mapping[str, Any]) -> StructuralPattern | None:
    return _word(StructuralPattern, item.get("structural_pattern"))


def _topology(item: Mapping[str, Any]) -> Topology | None:
    return _word(Topology, item.get("topology"))


def _word(kind: type[Word], value: Any) -> Word | None:
    given = str(value).strip().lower().replace("_", "-").replace(" ", "-")
    return next((word for word in kind if word.value.lower() == given), None)


def _text(value: Any, longest: int) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "" if text.lower() in ("none", "n/a", "-") else text[:longest]


def profile_of(state: RunState, get: Get) -> ArchitectureProfile | None:
    """What was decided for a run, with its texts; None where no model was called, or not yet."""
    decided = state.advise.decided
    return None if decided is None else with_texts(decided.profile, get)


def with_texts(profile: ArchitectureProfile, get: Get) -> ArchitectureProfile:
    """The profile of an event with texts in the place of digests."""

    def text(digest: str) -> str:
        return get(digest) if digest else ""

    return evolve(
        profile,
        storage=text(profile.storage),
        caching=text(profile.caching),
        queuing=text(profile.queuing),
        rationale=text(profile.rationale),
    )


def shown(profile: ArchitectureProfile, model: str) -> list[str]:
    """The block that tells a person what was decided and why; ``model`` is who decided it."""
    parts = {
        "Pattern": _title(profile.structural_pattern),
        "Topology": _title(profile.topology),
        "API": _title(profile.api),
        "Storage": _title(profile.data),
    }
    more = {"App": profile.app_type, "Data in": profile.storage, "Cache": profile.caching, "Queue": profile.queuing}
    return [
        f"\U0001f3d7 Architecture Decision ({model}):",
        _INDENT + "  │  ".join(f"{name}: {word}" for name, word in parts.items()),
        _INDENT + "  │  ".join(f"{name}: {word}" for name, word in more.items() if word),
        *textwrap.wrap(profile.rationale, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT),
        "─" * _WIDTH,
    ]


def _title(word: StrEnum) -> str:
    return word.value.capitalize() if word.value.islower() else word.value


def profile_text(profile: ArchitectureProfile) -> str:
    """What the decomposer's prompt says of it: one line for each choice."""
    lines = {
        "application type": profile.app_type,
        "structural pattern": profile.structural_pattern.value,
        "topology": profile.topology.value,
        "API": profile.api.value,
        "data": profile.data.value,
        "storage": profile.storage,
        "caching": profile.caching,
        "queuing": profile.queuing,
        "why": profile.rationale,
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value)

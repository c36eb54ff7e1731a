import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.architecture_advice import profile_text, shown, with_texts
from orchestrator.engine.answers.read_answer import read_answer
from orchestrator.engine.answers.suggested_improvements import count_words, joined_criteria, joined_description
from orchestrator.engine.similar_runs import keywords, score, shared
from orchestrator.events import Reading
from orchestrator.models import (
    ApiParadigm,
    ArchitectureProfile,
    DataParadigm,
    Role,
    StructuralPattern,
    SuggestionKind,
    Topology,
)
from orchestrator.testing.specs import DATA

DAY = 86_400_000_000


def read(role: Role, answer: Any) -> Reading:
    """The reading of an answer; digests are the texts themselves."""
    return read_answer(role, answer if isinstance(answer, str) else json.dumps(answer), (), lambda text: text)


def suggestion(number: int = 1, **more: Any) -> dict[str, Any]:
    """A suggestion as a model writes it."""
    return {"type": "risk", "title": f"Number {number}", "patch_description": "Say more.", "patch_criteria": "", **more}


def test_suggestions_are_read() -> None:
    """With their type, at most eight words of title, and the two patches; an empty one is none."""
    title = "one two three four five six seven eight nine"
    answer = {"suggestions": [suggestion(type="Criteria", title=title, patch_description=" ", patch_criteria="b\n c")]}
    for text in (json.dumps(answer), f"Sure!\n```json\n{json.dumps(answer)}\n```", json.dumps(answer["suggestions"])):
        (found,) = read(Role.ENHANCER, text).suggestions
        assert found.kind is SuggestionKind.CRITERIA
        assert (found.title, found.description, found.criteria) == (title.removesuffix(" nine"), None, "b c")


def test_at_most_seven_suggestions_are_offered() -> None:
    """What cannot be used is left out before they are counted."""
    broken = [
        suggestion(type="taste"),
        suggestion(title=""),
        suggestion(patch_description=""),
        "text",
        suggestion(title=3),
    ]
    found = read(Role.ENHANCER, {"suggestions": [*broken, *(suggestion(number) for number in range(9))]}).suggestions
    assert [each.title for each in found] == [f"Number {number}" for number in range(7)]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("I like it.", "no_json"),
        ("", "no_json"),
        ({"suggestions": []}, "no_suggestions"),
        ([suggestion(title="")], "no_suggestions"),
    ],
)
def test_an_answer_without_suggestions_says_why(answer: Any, problem: str) -> None:
    """Prose, nothing, an empty list and a list of nothing usable."""
    reading = read(Role.ENHANCER, answer)
    assert (reading.suggestions, reading.problem) == ((), problem)


def test_texts_are_joined_as_sentences_and_conditions() -> None:
    """A description gets a sentence more, the criteria a condition more."""
    assert joined_description("Build an API", "Name the routes.") == "Build an API. Name the routes."
    assert joined_description("Build an API.\n", "Name the routes.") == "Build an API. Name the routes."
    assert joined_criteria("tests pass.", "p95 is below 1 s") == "tests pass; p95 is below 1 s"
    assert count_words(" Build an\nAPI ") == 3


def advice(**more: Any) -> dict[str, Any]:
    """Advice as a model writes it."""
    return {
        "app_type": "fastapi",
        "structural_pattern": "Layered",
        "topology": "monolith",
        "api_paradigm": "rest",
        "data_paradigm": "time series",
        "storage": "PostgreSQL",
        "caching": "none",
        "queuing": "",
        "rationale": "It  is\nsmall.",
        **more,
    }


def test_advice_is_read() -> None:
    """Words in any case; texts on one line; what is none is empty."""
    assert read(Role.ADVISOR, advice()).profile == ArchitectureProfile(
        "fastapi",
        StructuralPattern.LAYERED,
        Topology.MONOLITH,
        ApiParadigm.REST,
        DataParadigm.TIME_SERIES,
        "PostgreSQL",
        "",
        "",
        "It is small.",
    )
    odd = read(Role.ADVISOR, advice(app_type="cobol", api_paradigm="SOAP", storage=7, rationale="x" * 5000)).profile
    assert odd is not None
    assert (odd.app_type, odd.api, odd.storage, len(odd.rationale)) == ("generic", ApiParadigm.NONE, "", 1000)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("A monolith.", "no_json"),
        (advice(structural_pattern="spaghetti"), "no_profile"),
        (advice(topology=None), "no_profile"),
    ],
)
def test_advice_without_pattern_or_topology_is_none(answer: Any, problem: str) -> None:
    """Both must be words of the vocabulary."""
    reading = read(Role.ADVISOR, answer)
    assert (reading.profile, reading.problem) == (None, problem)


@given(DATA, st.sampled_from([Role.ENHANCER, Role.ADVISOR]))
def test_any_answer_can_be_read(data: Any, role: Role) -> None:
    """Whatever stands there, there is a reading: something usable, or the code of a problem."""
    reading = read(role, json.dumps(data, default=str))
    assert bool(reading.suggestions or reading.profile) is (reading.problem is None)


def test_the_block_is_the_specification_s() -> None:
    """Head, choices, what else is known, the reason in lines of a screen, a rule."""
    profile = read(Role.ADVISOR, advice(rationale="word " * 40)).profile
    assert profile is not None
    head, choices, more, *reason, rule = shown(with_texts(profile, str), "DeepSeek Chat")
    assert head == "🏗 Architecture Decision (DeepSeek Chat):"
    assert choices == "    Pattern: Layered  │  Topology: Monolith  │  API: REST  │  Storage: Time-series"
    assert more == "    App: fastapi  │  Data in: PostgreSQL"
    assert all(text.startswith("    word") and len(text) <= 78 for text in reason)
    assert rule == "─" * 78
    assert "storage: PostgreSQL\nwhy: word" in profile_text(profile)


def test_similarity_is_of_keywords() -> None:
    """Short words and those that every description has say nothing."""
    assert keywords("Build a small FastAPI auth service, with JWT!") == {"fastapi", "auth", "service", "jwt"}
    assert shared(keywords("FastAPI auth service"), keywords("an auth service with JWT")) == 0.5
    assert shared(frozenset(), frozenset()) == 1.0


def test_the_score_weighs_similarity_and_recency() -> None:
    """Six to four; a week ago is no longer recent."""
    assert score(1.0, 0) == 1.0
    assert score(0.5, 7 * DAY // 2) == pytest.approx(0.3 + 0.2)
    assert score(0.5, 7 * DAY) == score(0.5, 70 * DAY) == 0.3
    assert score(0.0, -DAY) == 0.4

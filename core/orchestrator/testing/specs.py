"""Hypothesis strategies for spec files: valid documents, the specs they mean, and any data at all."""

from datetime import date, datetime
from typing import Any, Final

from hypothesis import strategies as st

from orchestrator.models import Phase, Role, TaskType
from orchestrator.policy import EnforcementMode
from orchestrator.settings import CrossVendor, MissingTool, OnDisagree
from orchestrator.spec import Spec, parse_spec
from orchestrator.spec.value_kinds import ELSEWHERE

Strategy = st.SearchStrategy

IDENTIFIERS: Final[Strategy[str]] = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda name: name != "plan"
)
"""Ids of tasks and runs."""

NAMES: Final[Strategy[str]] = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8
).filter(lambda name: bool(name.strip()) and not name.startswith(ELSEWHERE))
"""Names of models, providers, policies; one that is not looked for here would begin with ``?``."""

TEXTS: Final[Strategy[str]] = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)
"""Prompts, projects, criteria."""

_TYPES: Final = st.sampled_from([kind.value for kind in TaskType])
_SHARES: Final = st.floats(0, 1)
_AMOUNTS: Final = st.decimals(0, 1000, places=9).map(float) | st.integers(0, 1000)

DATA: Final[Strategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)
"""Any data a JSON document can hold."""

OPTIONS: Final[Strategy[dict[str, Any]]] = st.dictionaries(st.text("abc_", max_size=5), DATA, max_size=3)
"""Options of a provider, parameters of a backend."""


def policies() -> Strategy[dict[str, Any]]:
    """One policy, as a document writes it."""
    names = st.lists(NAMES, max_size=3)
    return st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "allowed_providers": names,
            "blocked_providers": names,
            "allowed_models": names,
            "blocked_models": names,
            "allowed_regions": names,
            "allow_training_on_output": st.booleans(),
            "max_cost_per_task_usd": _AMOUNTS,
            "max_latency_ms": st.integers(1, 60_000) | st.floats(1, 60_000),
            "rate_limit": st.fixed_dictionaries(
                {},
                optional={
                    "calls_per_minute": st.integers(1, 100),
                    "cost_usd_per_hour": _AMOUNTS,
                    "tokens_per_day": st.integers(1, 10**9),
                },
            ),
            "enforcement_mode": st.sampled_from([mode.value for mode in EnforcementMode]),
        },
    )


_EXTRAS: Final[Strategy[dict[str, Any]]] = st.fixed_dictionaries(
    {}, optional={"title": TEXTS, "hard_validators": st.lists(NAMES, unique=True, max_size=2), "schema": OPTIONS}
)


@st.composite
def plans(draw: st.DrawFn, most: int = 6) -> list[dict[str, Any]]:
    """A given plan without a cycle: a task depends on some of those before it."""
    ids = draw(st.lists(IDENTIFIERS, min_size=1, max_size=most, unique=True))
    plan: list[dict[str, Any]] = []
    for place, name in enumerate(ids):
        task: dict[str, Any] = {"id": name, "type": draw(_TYPES), "prompt": draw(TEXTS)}
        if place:
            task["dependencies"] = draw(st.lists(st.sampled_from(ids[:place]), unique=True, max_size=3))
        task |= draw(_EXTRAS)
        plan.append(task)
    return plan


def models() -> Strategy[list[dict[str, Any]]]:
    """Model entries with distinct ids, as a spec or a models file writes them."""
    token_classes = ("cached_input", "cache_write", "reasoning")
    must = {"input": _AMOUNTS, "output": _AMOUNTS}
    times = st.times().map(lambda time: f"{time:%H:%M}")
    when: dict[str, Strategy[Any]] = {
        "over": st.integers(1, 10**6),
        "since": st.dates(date(1970, 1, 1)).map(str) | st.datetimes(datetime(1970, 1, 1)).map(datetime.isoformat),
        "hours": st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map("-".join),
        "days": st.sampled_from(["mon-fri", "sat,sun", "fri-mon", "wed"]),
    }
    rate = st.sampled_from(sorted(when)).flatmap(
        lambda name: st.fixed_dictionaries(
            {**must, name: when[name]},
            optional={
                **dict.fromkeys(token_classes, _AMOUNTS),
                **{other: kind for other, kind in when.items() if other != name},
            },
        )
    )
    price = st.fixed_dictionaries(
        must, optional={**dict.fromkeys(token_classes, _AMOUNTS), "rates": st.lists(rate, max_size=2)}
    )
    names = st.lists(NAMES, max_size=2)
    entry = st.fixed_dictionaries(
        {"id": NAMES, "provider": NAMES},
        optional={
            "price": price,
            "context": st.integers(1, 10**6),
            "max_output": st.integers(1, 10**6),
            "hidden_tokens": st.integers(0, 4096),
            "thinking_in_limit": st.booleans(),
            "tier": NAMES,
            "slots": names,
            "trains_on_data": st.booleans(),
            "regions": names,
            "abilities": names,
            "vendor": NAMES,
            "wire_name": NAMES,
        },
    )
    return st.lists(entry, max_size=3, unique_by=lambda model: str(model["id"]))


def _paces() -> Strategy[Any]:
    """A limit per minute: of every provider, or by provider."""
    return st.integers(1, 1000) | st.dictionaries(NAMES | st.just("*"), st.integers(1, 1000), min_size=1, max_size=3)


def spec_documents() -> Strategy[dict[str, Any]]:
    """The data of a valid spec file, every key now and then."""
    by_type = st.dictionaries
    roles = st.sampled_from([word.value for word in (*TaskType, *Role)])
    limits = st.fixed_dictionaries(
        {},
        optional={
            "tries": st.integers(1, 9),
            "attempts": st.integers(1, 30),
            "breaker": st.fixed_dictionaries(
                {}, optional={"failures": st.integers(1, 9), "seconds": st.integers(1, 600)}
            ),
            "iterations": by_type(_TYPES, st.integers(1, 9), max_size=3),
            "max_tokens": by_type(roles, st.integers(1, 10_000), max_size=3),
            "requests_per_minute": _paces(),
            "tokens_per_minute": _paces(),
        },
    )
    routing = st.fixed_dictionaries(
        {},
        optional={
            "backend": NAMES,
            "parameters": OPTIONS,
            "table": by_type(_TYPES, st.lists(NAMES, min_size=1, max_size=3, unique=True), max_size=2),
        },
    )
    evaluate = st.fixed_dictionaries(
        {},
        optional={
            "runs": st.integers(1, 5),
            "max_delta": _SHARES,
            "on_disagree": st.sampled_from([word.value for word in OnDisagree]),
        },
    )
    cross_vendor = st.sampled_from([word.value for word in CrossVendor])
    missing_tool = st.sampled_from([word.value for word in MissingTool])
    phases = st.sampled_from([phase.value for phase in Phase])
    return st.fixed_dictionaries(
        {"project": TEXTS, "criteria": TEXTS},
        optional={
            "budget_usd": _AMOUNTS,
            "time_seconds": st.integers(1, 10**6) | st.floats(0.001, 10**6),
            "concurrency": st.integers(1, 50),
            "verbose": st.booleans(),
            "project_id": IDENTIFIERS,
            "output_dir": NAMES,
            "quality_targets": by_type(_TYPES, _SHARES, max_size=3),
            "policies": st.lists(policies(), max_size=2),
            "node_policies": st.fixed_dictionaries({}, optional={"plan": st.lists(policies(), max_size=2)}),
            "policy_files": st.lists(NAMES, max_size=2, unique=True),
            "tasks": plans(),
            "routing": routing,
            "providers": st.dictionaries(NAMES, OPTIONS, min_size=1, max_size=2),
            "models": models(),
            "review": st.fixed_dictionaries({}, optional={"cross_vendor": cross_vendor}),
            "evaluate": evaluate,
            "plateau": _SHARES,
            "verify_cmd": TEXTS,
            "validators": st.fixed_dictionaries({}, optional={"missing_tool": missing_tool}),
            "phase_budgets": st.dictionaries(phases, st.floats(0, 0.2), max_size=3),
            "limits": limits,
            "allow_unbounded": st.booleans(),
            "cache": st.booleans(),
            "enhance": st.booleans(),
            "advise": st.booleans(),
        },
    )


def specs() -> Strategy[Spec]:
    """Valid specs."""
    return spec_documents().map(lambda document: parse_spec(document, "drawn"))

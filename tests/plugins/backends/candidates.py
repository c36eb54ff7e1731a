"""Candidates and what was measured of them, for every backend."""

from collections.abc import Mapping, Sequence

from attrs import frozen
from hypothesis import strategies as st

from orchestrator.money import Price, Usd
from orchestrator.plugins import Catalogue
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate

Ranking = Sequence[Ranked]

_CATALOGUE = Catalogue.discover()


@frozen
class Field:
    """What a backend is asked about."""

    candidates: list[RoutingCandidate]
    telemetry: dict[str, ModelTelemetry]


def candidate(model: str, place: int, price: str = "1") -> RoutingCandidate:
    """A candidate whose input and output cost the same."""
    return RoutingCandidate(model, "p", "v", Price(Usd.parse(price), Usd.parse(price)), place)


def field_of(**measured: ModelTelemetry) -> Field:
    """Measured candidates of one price, in the order of the row."""
    return Field([candidate(name, place) for place, name in enumerate(measured)], measured)


def rank(name: str, field: Field, **parameters: object) -> Ranking:
    """The ranking of an installed backend."""
    return _CATALOGUE.backend(name, parameters).rank(field.candidates, field.telemetry, 0.5)


def order(ranking: Ranking) -> list[str]:
    """The models, best first."""
    return [each.model for each in ranking]


_COARSE = st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])
_SHARES = st.none() | _COARSE | st.floats(0, 1)
_ODD = st.none() | st.floats()
_AMOUNTS = st.none() | st.sampled_from([0.0, 0.001, 0.002, 1.0]) | st.floats(0, 1e6)


def _fields(
    share: "st.SearchStrategy[float | None]", amount: "st.SearchStrategy[float | None]"
) -> st.SearchStrategy[Field]:
    measured = st.builds(
        ModelTelemetry,
        quality=share,
        trust=share.map(lambda value: 1.0 if value is None else value),
        cost=amount,
        latency_ms=amount,
    )
    return st.lists(st.tuples(st.integers(0, 10**12), measured), max_size=12).map(_field)


def _field(rows: list[tuple[int, ModelTelemetry]]) -> Field:
    candidates = [
        RoutingCandidate(f"m{place}", "p", "v", Price(Usd(nano), Usd(nano)), place)
        for place, (nano, _) in enumerate(rows)
    ]
    return Field(candidates, {f"m{place}": measured for place, (_, measured) in enumerate(rows)})


FIELDS = _fields(_SHARES, _AMOUNTS)
"""Candidates with telemetry that makes sense, many of them equal in something."""

ODD_FIELDS = _fields(_ODD, _ODD)
"""Candidates with any telemetry: NaN, infinities and negative numbers, too."""

Vectors = Mapping[str, tuple[float, float, float]]


def vectors(field: Field) -> Vectors:
    """Quality, trust and cheapness of each model as the backends' documentation has it; more is better in each."""
    found = {}
    for each in field.candidates:
        measured = field.telemetry[each.model]
        priced = each.price.blended.nano * 2_000 // 1_000_000 / 1e9
        quality = 0.8 if measured.quality is None else measured.quality
        cost = priced if measured.cost is None else measured.cost
        found[each.model] = (quality, measured.trust, -max(cost, 1e-6))
    return found


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether one is at least as good in everything, and better in something."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))

"""Metrics to export."""

import pytest

from orchestrator.money import Usd
from orchestrator.spi import Metrics, ModelMetrics, RunMetrics


@pytest.fixture
def metrics() -> Metrics:
    """Two models, one of them never measured and strangely named, and one run."""
    run = RunMetrics(
        run="r",
        status="running",
        simulated=False,
        started_at=1_000_000,
        active_seconds=2.5,
        sessions_total=2,
        tasks={"pending": 1, "running": 1, "completed": 3, "degraded": 0, "failed": 0},
        calls_total=12,
        calls_failed_total=1,
        calls_in_flight=2,
        answers_reused_total=4,
        input_tokens_total=1000,
        output_tokens_total=200,
        cap_usd=Usd.parse("8"),
        settled_usd=Usd.parse("0.012345678"),
        unreconciled_usd=Usd.ZERO,
        in_flight_usd=Usd.parse("0.5"),
        budget_warnings_total=1,
    )
    measured = ModelMetrics(
        model="north",
        provider="scripted",
        vendor="n",
        calls_total=11,
        success_rate=0.9,
        latency_avg_ms=120.5,
        latency_p95_ms=300.0,
        quality_score=0.85,
        trust_factor=0.95,
        cost_avg_usd=0.000048,
        validator_failures_total=2,
        failures_total=1,
        input_tokens_total=900,
        output_tokens_total=100,
        cost_usd_total=Usd.parse("0.000123456"),
    )
    unmeasured = ModelMetrics(model='so"uth\\\n', provider="p", vendor="s", calls_total=0)
    return Metrics(5_000_000, (run,), (measured, unmeasured), "r")

"""The executor ``ray`` on a cluster of this machine: its contract, and runs that end although a node is killed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.spi import Fleet
from orchestrator.testing import ExecutorContract
from orchestrator_executors import ray_cluster
from tests.cli.command import clean_environment, count, orchestrate
from tests.fleet.test_fleet import until
from tests.fleet.test_submit import status
from tests.fleet.test_workers import check_money, ended, submitted

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

CLUSTERS: list[Any] = []
"""The cluster of the module, with the nodes beside its head."""


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head and a node, on the loopback interface only."""
    home = tmp_path_factory.mktemp("ray")
    before = dict(os.environ)
    os.environ.update(clean_environment(home), RAY_USAGE_STATS_ENABLED="0", **{ray_cluster._STAYS: "0"})
    pytest.importorskip("ray", reason="the extra ray is not installed: no test of a Ray cluster is run")
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 2, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    found = Cluster(initialize_head=True, connect=False, head_node_args=arguments)
    CLUSTERS[:] = [found]
    add_node()
    TestRay.address = found.address
    try:
        yield found
    finally:
        end: Any = found.shutdown
        end()
        os.environ.clear()
        os.environ.update(before)


def add_node() -> Any:
    """Another node of the cluster."""
    return CLUSTERS[0].add_node(num_cpus=2, node_ip_address="127.0.0.1")


def lose_node(fleet: Fleet) -> None:
    """Kill -9 of all processes of a node; another one comes."""
    (found,) = CLUSTERS
    found.remove_node(found.list_all_nodes()[1], allow_graceful=False)
    add_node()


class TestRay(ExecutorContract):
    """Workers as actors."""

    plugin = ray_cluster
    lose_node = staticmethod(lose_node)  # type: ignore[assignment]
    missing = ""


def test_runs_end_although_a_node_is_killed(tmp_path: Path, cluster: Any) -> None:
    """24 runs, 2 workers of 10, then the node of one is gone: all end, and the account is the sum of the runs."""
    home = tmp_path / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "100").code == 0
    runs = submitted(home, tmp_path, many=24, delay_ms=300)
    named = ("--executor", "ray", "--address", cluster.address)
    up = orchestrate(home, "fleet", "up", *named, "--workers", "2", "--jobs", "10", "--grace", "5")
    try:
        assert up.code == 0, up.err
        until(lambda: ended(home) >= 2)
        lose_node(Fleet((), 0, tmp_path))
        until(lambda: ended(home) == 24)
        until(lambda: count(home, "worker.started") >= 3)
        until(lambda: orchestrate(home, "fleet", "status").code == 0)
    finally:
        down = orchestrate(home, "fleet", "down")
    assert down.code == 0, down.err
    assert orchestrate(home, "workers", "list", "--json").json == []
    assert {status(home, run) for run in runs} == {"SUCCESS"}
    check_money(home, "sim/org")
    assert orchestrate(home, "audit", "verify").code == 0


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    """Exit code 2, with the address."""
    done = orchestrate(tmp_path, "fleet", "up", "--executor", "ray", "--address", "127.0.0.1:1")
    assert done.code == 2, done.err
    assert "no Ray cluster answers at 127.0.0.1:1" in done.err

import pytest

from orchestrator.errors import SpecError
from orchestrator.spi import Loader
from orchestrator_policy_loaders import json as json_loader
from orchestrator_policy_loaders import yaml as yaml_loader

YAML = yaml_loader.orchestrator_policy_loader()
JSON = json_loader.orchestrator_policy_loader()


def test_each_loader_says_what_it_reads() -> None:
    """YAML files have two endings, JSON files one, and both keep the contract."""
    assert YAML.suffixes == (".yaml", ".yml")
    assert JSON.suffixes == (".json",)
    assert isinstance(YAML, Loader)
    assert isinstance(JSON, Loader)


@pytest.mark.parametrize("loader", [YAML, JSON])
def test_the_mapping_comes_with_its_lines(loader: Loader) -> None:
    """Each path of the data has its line."""
    value, lines = loader.load('{"org":\n [{"name": "a"}],\n "team": {}}', "f")
    assert value == {"org": [{"name": "a"}], "team": {}}
    assert lines[("team",)] == 3
    assert lines["org", 0] == 2
    assert lines["org", 0, "name"] == 2


@pytest.mark.parametrize("loader", [YAML, JSON])
@pytest.mark.parametrize("text", ["[]", '"text"', "null", "5", '{"a": 1, "a": 2}', "[" * 100])
def test_what_is_no_policy_file_is_refused_with_a_line(loader: Loader, text: str) -> None:
    """Anything but one sound mapping is a SpecError."""
    with pytest.raises(SpecError) as caught:
        loader.load(text, "f")
    assert caught.value.problems[0].startswith("f:1: ")


def test_yaml_within_json_is_not_json() -> None:
    """Each loader reads its own language only."""
    assert YAML.load("org: []\n", "f")[0] == {"org": []}
    with pytest.raises(SpecError, match="not JSON"):
        JSON.load("org: []\n", "f")

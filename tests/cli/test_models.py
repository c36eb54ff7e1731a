"""`models list` and `models show`: what can be bought, and what the names of a spec stand for."""

import json
from pathlib import Path

import pytest

from orchestrator.models import SLOTS
from tests.cli.command import scripted_spec
from tests.cli.in_process import command


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))


def test_every_vendors_models_are_listed_without_any_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its price by token class, the source of it, and its facts; every slot is filled by one of them."""
    models = command(capsys, "models", "list", "--json").json

    assert sorted(slot for model in models for slot in model["slots"]) == sorted(SLOTS)
    assert {model["provider"] for model in models} == {
        *("openai", "anthropic", "google", "kimi", "deepseek", "minimax", "zhipu"),
    }
    for model in models:
        assert not model["available"]
        assert float(model["price_usd"]["output"]) > 0 or model["id"] == "glm-4.7-flash"
        assert "price: " in model["source"]
        assert model["price_date"]
        assert model["max_input"]
        assert model["max_output"]
        assert model["context"]
        assert model["hidden_tokens"] == 512
    flash = next(model for model in models if model["id"] == "deepseek-flash")
    assert [rate["hours"] for rate in flash["price_usd"]["rates"]] == ["01:00-04:00", "06:00-10:00"]
    assert {rate["days"] for rate in flash["price_usd"]["rates"]} == {"mon-fri"}
    assert flash["regions"] == ["cn"]
    assert "deepseek-v3.2" in flash["replaces"]


def test_available_are_those_with_a_key_and_a_price(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key makes its vendor's models available; a model without a price is not."""
    monkeypatch.setenv("KIMI_API_KEY", "sk-kimi-0123456789")
    (tmp_path / "models.yaml").write_text("models: [{id: kimi-k99, provider: kimi}]")
    with_file = ("--models", str(tmp_path / "models.yaml"))
    listed = command(capsys, "models", "list", *with_file).lines
    names = [model["id"] for model in command(capsys, "models", "list", "--available", "--json", *with_file).json]

    assert "kimi-k2.6" in names
    assert "kimi-k99" not in names
    assert {name.partition("-")[0] for name in names} == {"kimi"}
    (unpriced,) = (row for row in listed if row.startswith("kimi-k99"))
    assert unpriced.endswith("no price")
    assert listed[-1].startswith("price: genai-prices")
    assert next(row for row in listed if row.startswith("openai/gpt-4o ")).endswith("no key")
    assert "sk-kimi" not in "".join(listed)


def test_without_a_key_nothing_is_available(capsys: pytest.CaptureFixture[str]) -> None:
    """The list is empty and a notice says where to look."""
    ended = command(capsys, "models", "list", "--available")
    assert (ended.code, ended.out) == (0, "")
    assert "orchestrate doctor" in ended.err


@pytest.mark.parametrize("name", ["kimi-k3.1-pro", "moonshot-v1", "moonshot-v1-8k", "kimi-k2.5"])
def test_a_model_is_found_by_its_name_its_slot_and_the_slots_older_names(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a spec may call it, the same model is shown."""
    found = command(capsys, "models", "show", name, "--json").json
    assert found["id"] == "kimi-k3.1-pro"
    assert set(found["aliases"]) >= {"moonshot-v1-8k", "kimi-k2.5"}


def test_kimi_model_fills_the_slot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`KIMI_MODEL` chooses what `moonshot-v1` means, and a retired name in it is said to be one."""
    monkeypatch.setenv("KIMI_MODEL", "kimi-k3")
    assert command(capsys, "models", "show", "moonshot-v1", "--json").json["id"] == "kimi-k3"
    assert command(capsys, "models", "show", "kimi-k3.1-pro", "--json").json["slots"] == []
    monkeypatch.setenv("KIMI_MODEL", "kimi-latest")
    ended = command(capsys, "models", "list")
    assert "KIMI_MODEL: kimi-latest is no longer served; use kimi-k3.1-pro" in ended.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt-4-turbo", "gpt-4-turbo is no longer served; use gpt-6.1-sol"),
        ("deepseek-v3.2", "deepseek-v3.2 is no longer served; use deepseek-flash"),
        ("claude-sonet", "did you mean 'claude-sonnet'?"),
        ("nothing-like-it", "no model or slot is called 'nothing-like-it'"),
    ],
)
def test_a_name_that_is_gone_or_unknown_is_refused_with_what_to_use(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad usage, on one line."""
    ended = command(capsys, "models", "show", name)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_spec_and_a_models_file_change_what_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Prices with rates, facts and slots of the user's are shown as a run would use them, with their source."""
    price = {"input": 1, "output": 2, "rates": [{"input": 3, "output": 4, "over": 1000, "since": "2027-01-01"}]}
    mine = {"id": "mine", "provider": "openai", "price": price, "slots": ["glm-4"], "regions": ["eu"]}
    (tmp_path / "spec.json").write_text(
        json.dumps({"project": "p", "criteria": "c", "models": [mine], "providers": {"openai": {}}})
    )
    shown = " ".join(command(capsys, "models", "show", "glm-4", "-f", "spec.json").out.split())

    assert "price per million input $1.00, cached input $1.00" in shown
    assert "over 1000 tokens, since 2027-01-01T00:00:00Z input $3.00" in shown
    assert "regions eu " in shown
    assert shown.endswith("source spec")
    listed = command(capsys, "models", "list", "-f", "spec.json", "--json").json
    assert {model["provider"] for model in listed} == {"openai"}


def test_the_models_of_a_scripted_spec_can_be_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A provider that is simulated shows up where a spec names it."""
    spec = scripted_spec(tmp_path)
    found = command(capsys, "models", "list", "--available", "-f", str(spec), "--json").json
    assert [(model["id"], model["slots"]) for model in found] == [
        ("north", ["deepseek-chat"]),
        ("south", ["moonshot-v1"]),
    ]


def test_what_is_said_of_a_listed_model_leaves_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fact of a models file stands in the place of one alone: the vendor, the price and the slots stay."""
    models = tmp_path / "models.yaml"
    models.write_text("models: [{id: kimi-k2.6, provider: kimi, trains_on_data: false}]")
    listed = command(capsys, "models", "show", "kimi-k2.6", "--json").json
    said = command(capsys, "models", "show", "kimi-k2.6", "--models", str(models), "--json").json
    changed = {key for key in listed if listed[key] != said[key]}
    assert changed == {"trains_on_data", "source"}
    assert said["vendor"] == "moonshot"

"""`models suggest`: a models file from what a server lists, and runs with it."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.money import Usd
from orchestrator.spec import read_models
from orchestrator_providers.suggested_models import OfferedModel, ServerOffer, models_file
from tests.cli.command import Ended, orchestrate, rows
from tests.e2e.test_instances import agreed, spec_file
from tests.servers.gateways import LITELLM, OLLAMA, OPENROUTER, VLLM, GatewayServer
from tests.servers.local import Fault

KEY: Final = "sk-gateway-0123456789"


def suggested(home: Path, server: GatewayServer, *arguments: str, url: str = "") -> Ended:
    """The command against a server, with a key in the environment."""
    given = ("models", "suggest", "--base-url", url or server.base_url, *arguments)
    return orchestrate(home, *given, environ={"GATEWAY_KEY": KEY})


def read(home: Path, text: str) -> dict[str, Any]:
    """The models that a models file declares, by id."""
    path = home / "models.yaml"
    path.write_text(text)
    return {model.id: model for model in read_models(path)}


def test_openrouter_s_list_says_everything(tmp_path: Path) -> None:
    """Price, context, limit, vendor and abilities; what has no fixed price is a comment, what draws is left out."""
    home = tmp_path / "home"
    with GatewayServer(OPENROUTER, "/api") as server:
        ended = suggested(home, server, "--provider", "openrouter", "--api-key-env", "GATEWAY_KEY")
    assert ended.code == 0, ended.err
    found = read(home, ended.out)
    assert set(found) == {"openai/gpt-6-luna", "moonshotai/kimi-k2.6"}
    luna, kimi = found["openai/gpt-6-luna"], found["moonshotai/kimi-k2.6"]
    assert (luna.provider, luna.vendor, luna.context, luna.max_output) == ("openrouter", "openai", 1_050_000, 128_000)
    assert luna.price is not None
    assert (luna.price.input, luna.price.output) == (Usd.parse("0.1"), Usd.parse("0.5"))
    assert luna.price.cached_input == Usd.parse("0.01")
    assert luna.abilities == ("json_schema", "json_object", "reasoning", "no_temperature")
    assert kimi.abilities == ("json_object", "no_seed")
    assert '# - id: "openrouter/auto"' in ended.out
    assert "gemini-image" not in ended.out
    assert KEY not in ended.out + ended.err


def test_litellm_s_prices_come_from_its_model_info(tmp_path: Path) -> None:
    """The list has names alone; the gateway's other page has prices and windows, and says what cannot chat."""
    home = tmp_path / "home"
    with GatewayServer(LITELLM, key=KEY) as server:
        ended = suggested(home, server, "--api-key-env", "GATEWAY_KEY")
        assert ended.code == 0, ended.err
        assert server.looked_up == ["/v1/models", "/model/info"]
    found = read(home, ended.out)
    assert set(found) == {"writer", "judge"}
    assert found["writer"].price.output == Usd.parse(10)
    assert (found["judge"].context, found["judge"].max_output) == (272_000, 128_000)
    assert '# - id: "house-model"' in ended.out
    assert "embedder" not in ended.out


@pytest.mark.parametrize("path", ["", "/v1", "/v1/", "/v1/models", "/v1/chat/completions"])
def test_ollama_s_tags_are_models_that_cost_nothing(path: str, tmp_path: Path) -> None:
    """An address with or without its version; on this machine an engine's tokens are free."""
    home = tmp_path / "home"
    with GatewayServer(OLLAMA) as server:
        ended = suggested(home, server, url=server.address + path)
    assert ended.code == 0, ended.err
    found = read(home, ended.out)
    assert set(found) == {"qwen3:8b", "llama3.2:3b"}
    assert {(model.price.input, model.price.output) for model in found.values()} == {(Usd.ZERO, Usd.ZERO)}
    assert f"{server.address}/v1" in ended.out


def test_vllm_says_its_context(tmp_path: Path) -> None:
    """And its price may be given."""
    home = tmp_path / "home"
    with GatewayServer(VLLM) as server:
        ended = suggested(home, server, "--price", "0.1", "0.2")
    (model,) = read(home, ended.out).values()
    assert (model.id, model.vendor, model.context) == ("org/small", "org", 32_768)
    assert (model.price.input, model.price.output) == (Usd.parse("0.1"), Usd.parse("0.2"))


def test_a_price_that_nobody_says_is_never_made_up(tmp_path: Path) -> None:
    """A gateway on this machine may bill; without a price every model is a comment, with --price each has it."""
    home = tmp_path / "home"
    lists = {"/v1/models": {"data": [{"id": "gpt-6-luna", "owned_by": "openai"}, {"id": "x\n- id: y"}]}}
    with GatewayServer(lists) as server:
        unknown = suggested(home, server)
        known = suggested(home, server, "--price", "0.5", "1.5")
    assert read(home, unknown.out) == {}
    assert '# - id: "gpt-6-luna"' in unknown.out
    (model,) = read(home, known.out).values()
    assert (model.price.input, model.price.output) == (Usd.parse("0.5"), Usd.parse("1.5"))


WORKED: Final = {"openrouter": (OPENROUTER, "/api"), "litellm": (LITELLM, "")}


@pytest.mark.parametrize("name", WORKED)
def test_a_run_with_the_suggested_file_succeeds(name: str, tmp_path: Path) -> None:
    """From the command's file and the line of a spec in it to a finished run, at the gateway's prices."""
    home = tmp_path / "home"
    lists, prefix = WORKED[name]
    with GatewayServer(lists, prefix, key=KEY) as server:
        path = home / "models.yaml"
        arguments = ("--provider", name, "--api-key-env", "GATEWAY_KEY", "--output", str(path))
        assert suggested(home, server, *arguments).code == 0
        options = {"type": "openai_compatible", "base_url": server.base_url, "api_key_env": "GATEWAY_KEY"}
        spec = spec_file(home, providers={name: options})
        given = ("run", str(spec), "--models", str(path), "-o", "out", *agreed(server.address, "GATEWAY_KEY"))
        ended = orchestrate(home, *given, environ={"GATEWAY_KEY": KEY})
        assert ended.code == 0, ended.err
        assert {served.model for served in server.ledger} <= {model.id for model in read_models(path)}
    assert {provider for (provider,) in rows(home, "SELECT DISTINCT provider FROM calls")} == {name}
    again = orchestrate(home, "models", "suggest", "--base-url", "http://127.0.0.1:9", "-o", str(path))
    assert again.code != 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--base-url", "127.0.0.1:8080"), 2, "is no base URL"),
        (("--base-url", "http://user:secret@h/v1"), 2, "without a key in it"),
        (("--base-url", "http://127.0.0.1:9/v1"), 3, "no list of models: "),
        (("--base-url", "http://127.0.0.1:9/v1", "--api-key-env", "UNSET_KEY"), 2, "UNSET_KEY is not set"),
        (("--base-url", "http://127.0.0.1:9/v1", "--price", "-1", "2"), 2, "may not be negative"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    """No traceback, and a code that says whose fault it is."""
    ended = orchestrate(tmp_path / "home", "models", "suggest", *arguments)
    assert ended.code == code, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("body", ["[]", "{}", "null", '{"data": [1, null, {"id": 7}, {"id": ""}]}', "no JSON", "\x00"])
def test_a_list_that_is_none_is_said(body: str, tmp_path: Path) -> None:
    """Whatever a server answers, the command ends with a line."""

    class Odd(GatewayServer):
        def respond(self, received: Any) -> Fault:
            return Fault(200, body)

    with Odd({}) as server:
        ended = suggested(tmp_path / "home", server)
    assert "Traceback" not in ended.err
    assert ended.code in (0, 3)
    assert (ended.code == 0) == ("models: []" in ended.out)


@pytest.mark.parametrize("name", ["?", "?lab", "", " "])
def test_what_is_no_name_of_a_provider_is_refused(name: str, tmp_path: Path) -> None:
    """A spec reads "?lab" as lab: a file that says so would not name the provider that was meant."""
    with GatewayServer({}) as server:
        ended = suggested(tmp_path / "home", server, "--provider", name)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert f"--provider: {name!r} is no name" in ended.err


NAMES = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1, max_size=30)
PRICES = st.integers(0, 10**15).map(Usd)
SUGGESTED = st.builds(
    OfferedModel,
    NAMES,
    st.none() | NAMES,
    st.just({}) | st.fixed_dictionaries({"input": PRICES, "output": PRICES}),
    st.none() | st.integers(1, 10**8),
    st.none() | st.integers(1, 10**8),
    st.just(()) | st.just(("json_schema", "no_seed")),
)


@given(
    st.lists(SUGGESTED, max_size=6, unique_by=lambda each: each.id),
    NAMES.filter(lambda name: not name.startswith("?")),
)
def test_the_file_says_what_the_server_said(models: list[OfferedModel], provider: str) -> None:
    """Whatever the names: what is read back is what was listed, exactly, and nothing else."""
    from tempfile import TemporaryDirectory

    text = models_file(ServerOffer("http://127.0.0.1:1/v1", tuple(models)), provider, None, None, "2026-11-29")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "models.yaml"
        path.write_text(text, encoding="utf-8")
        found = {model.id: model for model in read_models(path)}
    assert set(found) == {model.id for model in models if model.price}
    for model in models:
        if model.price:
            price = found[model.id].price
            assert price is not None
            assert (price.input, price.output) == (model.price["input"], model.price["output"])
            assert found[model.id].provider == provider
            assert (found[model.id].context, found[model.id].max_output) == (model.context, model.max_output)


def test_the_json_of_a_name_is_a_yaml_text() -> None:
    """The names of a hostile server cannot add keys or lines."""
    model = OfferedModel('a", provider: "b', price={"input": Usd.ZERO, "output": Usd.ZERO})
    text = models_file(ServerOffer("http://h/v1", (model,)), "lab", "KEY", None, "2026-11-29")
    assert json.dumps(model.id) in text

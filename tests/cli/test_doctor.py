"""`doctor`: what can be used here, and never the value of a key."""

import base64
import socket
from pathlib import Path

import pytest

from orchestrator.engine.vendors import provider_survey
from tests.cli.command import orchestrate
from tests.cli.in_process import command
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provider_survey, "LOCAL_SERVERS", {})


def served(name: str) -> VendorServer:
    """A vendor on this machine."""
    return VendorServer(name, {model.id: model for model in built(name).models()})


def test_every_provider_shows_its_key_variable_its_address_and_its_models(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a key its variable's name is shown and nothing of its value; no vendor is called."""
    monkeypatch.setenv("ZAI_API_KEY", CANARY)
    monkeypatch.setenv("ZHIPU_BASE_URL", "http://127.0.0.1:9/v4")
    ended = command(capsys, "doctor", "--json")
    found = {each["provider"]: each for each in ended.json["providers"]}

    assert ended.code == 0
    assert set(found) >= set(VENDORS)
    zhipu = found.pop("zhipu")
    assert (zhipu["state"], zhipu["key"], zhipu["base_url"]) == ("ready", "ZAI_API_KEY", "http://127.0.0.1:9/v4")
    assert zhipu["models"] == len(built("zhipu").models())
    assert zhipu["live"] is None
    for name in VENDORS.keys() - {"zhipu"}:
        assert (found[name]["state"], found[name]["key"]) == ("unset", None)
        assert VENDORS[name].key in found[name]["keys"]
        assert found[name]["models"] > 0
    shown = command(capsys, "doctor")
    assert "set ANTHROPIC_API_KEY" in shown.out
    assert CANARY not in ended.out + ended.err + shown.out + shown.err


@pytest.mark.parametrize("name", VENDORS)
def test_live_asks_for_the_list_of_models_and_nothing_else(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor lists what it serves, for nothing, and what is missing from that list is named."""
    names = {model.sent_name for model in built(name).models()}
    missing = sorted(names)[0]
    with served(name) as server:
        monkeypatch.setenv(VENDORS[name].key, CANARY)
        monkeypatch.setenv(VENDORS[name].address, server.base_url)
        server.hidden.add(missing)
        ended = command(capsys, "doctor", "--live", "--json")
    (live,) = (each["live"] for each in ended.json["providers"] if each["provider"] == name)

    assert ended.code == 0
    assert (server.requests, server.ledger) == (0, [])
    assert (live["problem"], live["models"], live["not_served"]) == (None, len(names) - 1, [missing])


def test_live_says_what_is_wrong_and_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused key, echoed by the vendor raw and encoded, is a failure without the key in it."""
    forms = (CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex())
    with served("deepseek") as server:
        monkeypatch.setenv("DEEPSEEK_API_KEY", CANARY)
        monkeypatch.setenv("DEEPSEEK_BASE_URL", server.base_url)
        monkeypatch.setenv("KIMI_API_KEY", "sk-0123456789")
        monkeypatch.setenv("KIMI_BASE_URL", "http://127.0.0.1:9/v1")
        server.refuse_list(401, {"error": {"message": f"no such key: {' '.join(forms)}", "code": "invalid_api_key"}})
        ended = command(capsys, "doctor", "--live", "--json")
        shown = command(capsys, "doctor", "--live")
    live = {each["provider"]: each["live"] for each in ended.json["providers"]}

    assert (ended.code, shown.code) == (3, 3)
    assert live["deepseek"]["problem"].startswith("HTTP 401: no such key")
    assert "cannot be reached: the connection is refused; start the server there" in live["kimi"]["problem"]
    for form in forms:
        assert form not in ended.out + ended.err + shown.out + shown.err


def test_a_server_at_a_usual_address_is_suggested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked without any key; one that answers nothing in time is passed over."""
    with served("deepseek") as server, socket.create_server(("127.0.0.1", 0)) as silent:
        there = server.base_url
        addresses = {"Ollama": there, "vLLM": f"http://127.0.0.1:{silent.getsockname()[1]}/v1"}
        monkeypatch.setattr(provider_survey, "LOCAL_SERVERS", addresses)
        monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", CANARY)
        found = command(capsys, "doctor", "--json").json["local_servers"]
        shown = command(capsys, "doctor")

    assert [(each["server"], each["base_url"]) for each in found] == [("Ollama", there)]
    assert "deepseek-flash" in found[0]["models"]
    assert f"export OPENAI_COMPATIBLE_BASE_URL={there}" in shown.err
    assert len(server.list_headers) == 2
    assert all("authorization" not in each for each in server.list_headers)


def test_the_network_is_what_the_programs_own_variables_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is shown without its password; variables of other programs are shown as not read."""
    monkeypatch.setenv("ORCHESTRATE_PROXY", "http://me:p-secret-word@proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example:1")
    ended = command(capsys, "doctor", "--json")

    assert ended.json["network"]["proxy"] == "http://proxy.example:3128"
    assert "HTTPS_PROXY" in ended.json["network"]["ignored"]
    assert "p-secret-word" not in ended.out
    monkeypatch.setenv("ORCHESTRATE_PROXY", "soap://me:p-secret-word@proxy.example")
    refused = command(capsys, "doctor")
    assert refused.code == 2
    assert "give it as http://HOST:PORT" in refused.err
    assert "p-secret-word" not in refused.err


def test_a_data_folder_that_cannot_be_used_is_a_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The folder's state, SQLite's version and the sandbox in force are shown; a file in the folder's place fails."""
    found = command(capsys, "doctor", "--json").json
    assert found["data_folder"]["problem"] is None
    assert not found["data_folder"]["exists"]
    assert found["data_folder"]["sqlite"].startswith("3.")
    assert found["in_force"] in {each["sandbox"] for each in found["sandboxes"]}
    (tmp_path / "file").write_text("")
    ended = command(capsys, "doctor", "--home", str(tmp_path / "file" / "home"))
    assert ended.code == 3
    assert "is no folder" in ended.out


def test_a_broken_plugin_is_shown_and_takes_nothing_down(tmp_path: Path, third_party_site: Path) -> None:
    """A third-party plugin that cannot be imported is listed with its reason."""
    ended = orchestrate(tmp_path / "home", "doctor", "--json", environ={"PYTHONPATH": str(third_party_site)})
    problems = {each["distribution"]: each["problem"] for each in ended.json["plugins"]}

    assert ended.code == 0
    assert "orchestrator-broken" in problems
    assert all(problems.values())

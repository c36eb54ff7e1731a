"""Where each vendor is reached and with which key, and what its hook does without."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from orchestrator.spi import SpecError
from orchestrator_providers.keys_and_addresses import find_access
from tests.plugins.providers.calls import a_config, a_request
from tests.plugins.providers.vendors import VENDORS, build, built

HOSTS = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "google": "https://generativelanguage.googleapis.com/v1beta/models/gemini-4-hydrogen:streamGenerateContent?alt=sse",
    "kimi": "https://api.moonshot.ai/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "minimax": "https://api.minimax.io/v1/chat/completions",
    "zhipu": "https://api.z.ai/api/paas/v4/chat/completions",
}


def reached(name: str, environment: Mapping[str, str] | None = None, **options: Any) -> str:
    """The URL of a request to the first model of a vendor."""
    vendor = built(name, environment, options)
    return vendor.url(a_request(model=vendor.models()[0]))


@pytest.mark.parametrize("name", VENDORS)
def test_without_its_key_a_vendor_is_not_available(name: str) -> None:
    """No key in the environment, or an empty one: None, whatever else is set."""
    assert build(name, {}) is None
    assert build(name, {VENDORS[name].key: " "}) is None
    assert build(name, {VENDORS[name].address: "http://127.0.0.1:1/v1"}) is None
    assert build(name, {VENDORS[name].key: "k"}, {"api_key_env": "OTHER_KEY"}) is None


def test_importing_the_providers_is_cheap() -> None:
    """Neither the HTTP client nor the price list is imported before a key is found."""
    names = [f"orchestrator_providers.{name}" for name in (*VENDORS, "openai_compatible", "scripted")]
    program = (
        "import importlib, sys\n"
        f"made = [importlib.import_module(name) for name in {names}]\n"
        "heavy = {'httpx', 'httpcore2', 'httpx2', 'genai_prices', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("name", VENDORS)
def test_a_key_alone_reaches_the_vendors_own_host(name: str) -> None:
    """The key travels in the vendor's header, to its international host."""
    vendor = built(name, {VENDORS[name].key: "  k-1\n"})

    assert reached(name, {VENDORS[name].key: "k-1"}) == HOSTS[name]
    sent = {header.lower(): value for header, value in vendor.headers().items()}
    assert sent[VENDORS[name].header].removeprefix("Bearer ") == "k-1"
    assert vendor.simulated is False


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("google", "GEMINI_API_KEY"),
        ("kimi", "MOONSHOT_API_KEY"),
        ("kimi", "MOONSHOTAI_API_KEY"),
        ("zhipu", "ZHIPUAI_API_KEY"),
        ("zhipu", "ZAI_API_KEY"),
        ("zhipu", "GLM_API_KEY"),
    ],
)
def test_the_common_aliases_of_a_key_count(name: str, variable: str) -> None:
    """A key is found under the names that the vendor's own tools use."""
    assert built(name, {variable: "k-2"}).key == "k-2"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("kimi", "https://api.moonshot.cn/v1"),
        ("minimax", "https://api.minimaxi.com/v1"),
        ("zhipu", "https://open.bigmodel.cn/api/paas/v4"),
    ],
)
def test_the_host_in_china(name: str, url: str) -> None:
    """``region: china`` reaches the host there, and its models say where they are."""
    assert reached(name, region="china") == f"{url}/chat/completions"
    assert all(model.regions == ("cn",) for model in built(name, options={"region": "china"}).models())
    assert all(model.regions == () for model in built(name).models())


def test_zhipus_two_hosts_have_two_price_lists() -> None:
    """The same model has the price of the host it is asked at."""
    prices = [
        {model.id: model.price for model in built("zhipu", options={"region": region}).models()}["glm-5.3"]
        for region in ("international", "china")
    ]
    assert None not in prices
    assert prices[0] != prices[1]


@pytest.mark.parametrize("name", VENDORS)
def test_a_base_url_of_the_environment_gets_the_usual_key(name: str) -> None:
    """The user's own environment says where to go."""
    environment = {VENDORS[name].key: "k-3", VENDORS[name].address: "http://127.0.0.1:9/v1/"}
    assert reached(name, environment).startswith("http://127.0.0.1:9/v1/")
    assert built(name, environment).key == "k-3"


@pytest.mark.parametrize("name", VENDORS)
def test_a_base_url_of_a_spec_gets_only_the_key_the_spec_names(name: str) -> None:
    """A spec cannot send the environment's key to a host of its choice."""
    environment = {VENDORS[name].key: "k-4", "MINE": "k-5"}
    options = {"base_url": "http://127.0.0.1:9/v1"}
    assert built(name, environment, options).key is None
    assert VENDORS[name].header not in {each.lower() for each in built(name, environment, options).headers()}
    assert built(name, environment, {**options, "api_key_env": "MINE"}).key == "k-5"
    assert build(name, environment, {**options, "api_key_env": "UNSET"}) is None


def test_addresses_without_the_version_are_completed() -> None:
    """Anthropic's and Google's own tools want the address without the version; both forms are understood."""
    assert (
        reached("anthropic", {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://h:1"}) == "http://h:1/v1/messages"
    )
    assert "http://h:1/v1beta/models/" in reached("google", {"GOOGLE_API_KEY": "k", "GEMINI_BASE_URL": "http://h:1/"})


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("openai", {"base_ulr": "x"}, "base_ulr"),
        ("openai", {"api": "soap"}, "chat or responses"),
        ("openai", {"stream": "yes"}, "true or false"),
        ("openai", {"idle_seconds": 0}, "idle_seconds"),
        ("openai", {"idle_seconds": True}, "idle_seconds"),
        ("openai", {"effort": "as much as you can"}, "effort"),
        ("kimi", {"region": "mars"}, "international or china"),
        ("kimi", {"region": ["china"]}, "international or china"),
        ("minimax", {"effort": "LOW!"}, "effort"),
        ("google", {"base_url": "ftp://h"}, "http://"),
        ("google", {"api_key_env": "sk 1"}, "name of an environment variable"),
        ("anthropic", {"region": "china"}, "region"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: Mapping[str, Any], problem: str) -> None:
    """The message names the option and what it takes."""
    with pytest.raises(SpecError, match=problem):
        built(name, options=options)


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    """The message names the variable, not the value."""
    with pytest.raises(SpecError, match="OPENAI_API_KEY") as caught:
        built("openai", {"OPENAI_API_KEY": "sécret"})
    assert "cret" not in str(caught.value)


def test_access_without_any_default_needs_an_address_and_no_key() -> None:
    """A provider without a host of its own is available by address alone."""
    config = a_config({}, {"THERE": "http://h:1/v1"})
    found = find_access(config, keys=("KEY",), addresses=("THERE",), default=None)
    assert found is not None
    assert (found.base_url, found.key) == ("http://h:1/v1", None)


# ── models of the user ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_variable_chooses_the_model_that_fills_kimis_slot() -> None:
    """``KIMI_MODEL`` moves the slot, to a listed model or to one that only the price list knows."""
    for chosen in ("kimi-k3", "kimi-k2.5"):
        vendor = built("kimi", {"KIMI_API_KEY": "k", "KIMI_MODEL": chosen})
        filling = [model for model in vendor.models() if "moonshot-v1" in model.slots]
        assert [model.id for model in filling] == [chosen]
        assert filling[0].price is not None


def test_a_retired_kimi_model_is_refused_with_its_replacement() -> None:
    """The message says what to use instead."""
    with pytest.raises(SpecError, match=r"KIMI_MODEL: kimi-latest is no longer served; use kimi-k3\.1-pro"):
        built("kimi", {"KIMI_API_KEY": "k", "KIMI_MODEL": "kimi-latest"})


def test_a_spec_overrides_single_facts_and_adds_models() -> None:
    """What is declared replaces that fact alone; a further model has its published price, or none."""
    price = Price(Usd.parse("7"), Usd.parse("9"))
    declared = (
        ModelInfo("gpt-4o", "openai", "openai", price=price, regions=("eu",)),
        ModelInfo("gpt-5-pro", "openai", "openai", source="spec"),
        ModelInfo("gpt-99", "openai", "openai"),
    )
    models = {model.id: model for model in built("openai", models=declared).models()}
    before = {model.id: model for model in built("openai").models()}["openai/gpt-4o"]

    assert (models["gpt-4o"].price, models["gpt-4o"].regions) == (price, ("eu",))
    assert (models["gpt-4o"].abilities, models["gpt-4o"].slots) == (before.abilities, before.slots)
    assert models["gpt-5-pro"].price is not None
    assert models["gpt-5-pro"].source.startswith("spec; price: genai-prices")
    assert models["gpt-99"].price is None

"""The provider ``zhipu``: Zhipu AI's GLM (Z.ai).

Needs ``ZHIPU_API_KEY``, ``ZHIPUAI_API_KEY``, ``ZAI_API_KEY`` or ``GLM_API_KEY``; ``ZHIPU_BASE_URL`` or ``ZAI_BASE_URL``
names another address. Options: ``region: international`` (the default) or ``china``, ``base_url``, ``api_key_env``,
``stream``, ``idle_seconds``, ``effort``.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from orchestrator.spi import ErrorKind, Price, Provider, ProviderConfig, Request, Usd, hookimpl
from orchestrator_providers.error_meanings import Cause
from orchestrator_providers.keys_and_addresses import (
    CALLING,
    REACHING,
    check_options,
    choose_region,
    find_access,
    read_manner,
)
from orchestrator_providers.model_catalogue import Catalogue, Listed, in_region
from orchestrator_providers.openai_family import OpenAIFamily
from orchestrator_providers.text_without_keys import message_of
from orchestrator_providers.wait_times import reset_in_text

HOSTS: Final = {"international": "https://api.z.ai/api/paas/v4", "china": "https://open.bigmodel.cn/api/paas/v4"}

_SWITCHED: Final = ("json_object", "thinking_switch")

CATALOGUE: Final = Catalogue(
    vendor="zhipu",
    checked="2026-11-29",
    price_list="zai",
    effort="low",
    thinking={"low": 4096, "medium": 8192, "high": 16_384, "max": 32_768},
    models=(
        Listed("glm-5.3", ("glm-4",), "standard", ("json_object", "reasoning", "effort"), max_output=128_000),
        Listed("glm-5.3-flash", (), "economy", ("json_object", "reasoning", "effort"), max_output=128_000),
        Listed("glm-5.2", (), "standard", ("json_object", "thinking_switch"), max_output=128_000),
        Listed("glm-5.1", (), "standard", _SWITCHED, 200_000, 128_000),
        Listed("glm-5", (), "standard", _SWITCHED, 200_000, 128_000),
        Listed("glm-4.7", (), "economy", _SWITCHED, 200_000, 128_000),
        Listed(
            "glm-4.7-flash",
            (),
            "economy",
            _SWITCHED,
            200_000,
            128_000,
            price=Price(Usd.ZERO, Usd.ZERO),
            price_source="LiteLLM 1.110.2 of Z.ai's page (free), 2026-11-29",
        ),
        Listed("glm-4.6", (), "economy", _SWITCHED, 200_000, 128_000),
        Listed("glm-4.5", (), "economy", _SWITCHED, 128_000, 32_000),
        Listed("glm-4.5-air", (), "economy", _SWITCHED, 128_000, 32_000),
    ),
    retired={"glm-4-flash": "glm-5.3-flash", "glm-4-0520": "glm-5.3", "chatglm_turbo": "glm-5.3-flash"},
)
CHINA: Final = evolve(CATALOGUE, price_list="zhipuai")
"""The list of the host in China, which has prices of its own."""

_KEY: Final = Cause(ErrorKind.AUTHENTICATION)
_CODES: Final[Mapping[str, Cause]] = {
    "401": _KEY,
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), _KEY),
    "500": Cause(ErrorKind.SERVER, True),
    "1113": Cause(ErrorKind.QUOTA),
    "1210": Cause(ErrorKind.BAD_REQUEST),
    "1211": Cause(ErrorKind.UNKNOWN_MODEL),
    "1213": Cause(ErrorKind.BAD_REQUEST),
    "1214": Cause(ErrorKind.BAD_REQUEST),
    "1234": Cause(ErrorKind.SERVER, True),
    "1261": Cause(ErrorKind.CONTEXT_LENGTH),
    "1301": Cause(ErrorKind.CONTENT_FILTER),
    "1302": Cause(ErrorKind.RATE_LIMIT, True),
    "1303": Cause(ErrorKind.RATE_LIMIT, True),
    "1305": Cause(ErrorKind.OVERLOADED, True),
    "1308": Cause(ErrorKind.RATE_LIMIT, True),
    "1309": Cause(ErrorKind.QUOTA),
    "1310": Cause(ErrorKind.RATE_LIMIT, True),
    "1311": Cause(ErrorKind.UNKNOWN_MODEL),
    "1312": Cause(ErrorKind.OVERLOADED, True),
}
"""What the vendor's numbers mean, which it writes as text; their words follow the host's language."""


class Zhipu(OpenAIFamily):
    """Speaks to Zhipu AI."""

    hosts = tuple(HOSTS.values())

    temperatures = (0.0, 1.0)

    def headers(self) -> dict[str, str]:
        """The key, and the language of errors."""
        return {**super().headers(), "Accept-Language": "en-US,en"}

    def thinking(self, request: Request) -> dict[str, Any]:
        """Models with a switch do not think; the others take an effort."""
        if "thinking_switch" in request.model.abilities:
            return {"thinking": {"type": "disabled"}}
        return super().thinking(request)

    def cause(self, status: int, error: Any, headers: Mapping[str, str]) -> Cause:
        """Why it refused: by the number."""
        code = error.get("code") if isinstance(error, dict) else None
        cause = _CODES.get(str(code)) if isinstance(code, str | int) else None
        if cause is None:
            return super().cause(status, error, headers)
        if cause.kind is not ErrorKind.RATE_LIMIT:
            return cause
        return evolve(cause, wait=reset_in_text(message_of(error), headers))


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "region"))
    region = choose_region(config, HOSTS)
    access = find_access(
        config,
        keys=("ZHIPU_API_KEY", "ZHIPUAI_API_KEY", "ZAI_API_KEY", "GLM_API_KEY"),
        addresses=("ZHIPU_BASE_URL", "ZAI_BASE_URL"),
        default=HOSTS[region],
        own=HOSTS.values(),
    )
    if access is None:
        return None
    catalogue = CHINA if region == "china" else CATALOGUE
    made = Zhipu(access, in_region(catalogue.today(config), region), read_manner(config))
    made.choose = lambda served: in_region(catalogue.today(config, served=served), region)
    made.retired = CATALOGUE.retired_now()
    return made

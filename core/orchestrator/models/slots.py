"""The slots of the specification: who is asked for what, and what a forecast assumes of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from attrs import define


class Model(str):
    """The name of a model or of a slot; any string is one, the specification's are attributes."""

    __slots__ = ()

    GPT_4O: ClassVar["Model"]
    GPT_4O_MINI: ClassVar["Model"]
    GEMINI_PRO: ClassVar["Model"]
    GEMINI_FLASH: ClassVar["Model"]
    CLAUDE_OPUS: ClassVar["Model"]
    CLAUDE_SONNET: ClassVar["Model"]
    CLAUDE_HAIKU: ClassVar["Model"]
    DEEPSEEK_CHAT: ClassVar["Model"]
    DEEPSEEK_REASONER: ClassVar["Model"]
    KIMI_K2_5: ClassVar["Model"]
    MINIMAX_3: ClassVar["Model"]
    GLM_4: ClassVar["Model"]

    @property
    def value(self) -> str:
        """The name itself, as an enum member would give it."""
        return str(self)


_NAMED: Final = {
    "GPT_4O": "gpt-4o",
    "GPT_4O_MINI": "gpt-4o-mini",
    "GEMINI_PRO": "gemini-2.5-pro",
    "GEMINI_FLASH": "gemini-2.5-flash",
    "CLAUDE_OPUS": "claude-opus",
    "CLAUDE_SONNET": "claude-sonnet",
    "CLAUDE_HAIKU": "claude-haiku",
    "DEEPSEEK_CHAT": "deepseek-chat",
    "DEEPSEEK_REASONER": "deepseek-reasoner",
    "KIMI_K2_5": "moonshot-v1",
    "MINIMAX_3": "minimax-3",
    "GLM_4": "glm-4",
}
for _attribute, _name in _NAMED.items():
    setattr(Model, _attribute, Model(_name))

SLOTS: Final = tuple(_NAMED.values())
"""Every slot of the specification, in the order of its price table's vendors."""

SLOT_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "claude-3-5-opus-20241022": "claude-opus",
        "claude-3-5-sonnet-20241022": "claude-sonnet",
        "claude-3-5-haiku-20241022": "claude-haiku",
        "moonshot-v1-8k": "moonshot-v1",
        "moonshot-v1-32k": "moonshot-v1",
        "moonshot-v1-128k": "moonshot-v1",
        "kimi-k2.5": "moonshot-v1",
    }
)
"""Dated or older names of the specification, and the slot each stands for."""

COST_TABLE: Final[Mapping[Model, Mapping[str, float]]] = MappingProxyType(
    {
        Model(slot): MappingProxyType({"input": read, "output": written})
        for slot, read, written in (
            ("deepseek-chat", 0.27, 1.10),
            ("moonshot-v1", 0.14, 0.56),
            ("gemini-2.5-flash", 0.15, 0.60),
            ("gpt-4o-mini", 0.15, 0.60),
            ("claude-haiku", 0.80, 4.00),
            ("deepseek-reasoner", 0.55, 2.19),
            ("gemini-2.5-pro", 1.25, 10.00),
            ("gpt-4o", 2.50, 10.00),
            ("claude-sonnet", 3.00, 15.00),
            ("claude-opus", 15.00, 75.00),
            ("minimax-3", 0.50, 1.50),
            ("glm-4", 1.00, 3.50),
        )
    }
)
"""US dollars per million tokens by slot, as the specification lists them: for forecasts. Runs use real prices."""

_SLOT_VENDORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deepseek": "deepseek",
        "moonshot": "kimi",
        "gemini": "google",
        "gpt": "openai",
        "claude": "anthropic",
        "minimax": "minimax",
        "glm": "zhipu",
    }
)


@define
class ModelProfile:
    """What a forecast assumes of a model: prices per million tokens, and telemetry that begins with priors."""

    model: Model
    provider: str
    cost_per_1m_input: float
    """US dollars per million tokens read."""
    cost_per_1m_output: float
    """US dollars per million tokens written."""
    quality_score: float = 0.8
    trust_factor: float = 1.0
    latency_avg_ms: float = 2000.0
    latency_p95_ms: float = 5000.0
    success_rate: float = 1.0
    cost_avg_usd: float = 0.0
    """0.0 where nothing was measured."""
    calls_total: int = 0
    validator_failures_total: int = 0


def build_default_profiles() -> dict[Model, ModelProfile]:
    """A profile for every slot of the specification, at its prices; nothing is loaded and nothing was measured."""
    return {
        model: ModelProfile(
            model=model,
            provider=_SLOT_VENDORS[model.partition("-")[0]],
            cost_per_1m_input=prices["input"],
            cost_per_1m_output=prices["output"],
        )
        for model, prices in COST_TABLE.items()
    }

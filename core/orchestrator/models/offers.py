"""What a provider sells."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import Factory, frozen

from orchestrator.models.vocabulary import Lane
from orchestrator.money import Price

DEFAULT_EFFORT: Final = "default"
"""In ``thinking_tokens``: as the model thinks where no effort is said."""

_SIZES: Final[Mapping[str | None, int]] = MappingProxyType(
    {"economy": 0, "small": 0, "standard": 1, "medium": 1, "premium": 2, "large": 2}
)
"""The tiers that have an order, smallest first."""


def is_lower_tier(tier: str | None, other: str | None) -> bool:
    """Whether a tier is below another one; one that is unknown or a vendor's own is below none, and none below it."""
    return tier in _SIZES and other in _SIZES and _SIZES[tier] < _SIZES[other]


def qualified(provider: str, model: str) -> str:
    """``PROVIDER/MODEL``: one name for what an instance sells, whether or not the run's id names the instance."""
    return f"{provider}/{model.removeprefix(f'{provider}/')}"


@frozen
class ModelInfo:
    """The facts of a provider's model. A fact that is not declared is None and satisfies no restriction."""

    id: str
    """The name a run, a policy and the log use; unique within a run."""
    provider: str
    """The provider instance: its name under ``providers`` in a spec, the plugin's own unless the spec says ``type``."""
    vendor: str
    """The company; a reviewer is of another one than the author."""
    price: Price | None = None
    """Per million tokens; a model without a price is refused."""
    context: int | None = None
    """The context window in tokens."""
    max_output: int | None = None
    """The most tokens one answer can have."""
    hidden_tokens: int = 512
    """Tokens the vendor may add to the input: templates, schemas, thinking prompts."""
    thinking_in_limit: bool = True
    """Whether thinking counts inside the ``max_tokens`` that is sent."""
    tier: str | None = None
    """The vendor's size class, such as ``premium``; a reviewer of the same vendor is of no lower one if possible."""
    regions: tuple[str, ...] = ()
    """Where it runs; policies compare them."""
    trains_on_data: bool | None = None
    """Whether its vendor trains on what it is sent; None: unknown."""
    abilities: tuple[str, ...] = ()
    """What else it can do, in words such as ``vision``."""
    slots: tuple[str, ...] = ()
    """The specification's names this model fills today."""
    wire_name: str | None = None
    """The name sent to the vendor, where it differs from ``id``."""
    source: str = ""
    """Where the facts and the price come from, such as ``spec`` or a catalogue's name and date."""
    max_input: int | None = None
    """The most tokens one prompt can have; None: as many as the context window has."""
    account: str | None = None
    """Whose money and quota a call uses: equal for the models of one provider that share key and address. A session
    sets it, as an HMAC under the data folder's secret; None: unknown, or simulated."""
    host: str | None = None
    """The host and port of the provider's address, as in a URL. A session sets it; None: the provider names none."""
    price_date: str | None = None
    """The day on which the price was last known to hold, in ISO 8601."""
    retires: str | None = None
    """The day, or the month, in which the vendor stops serving it, in ISO 8601."""
    provider_type: str | None = None
    """The entry-point name of the provider plugin, where the instance has another name."""
    effort: str | None = None
    """How much it is asked to think, in the vendor's word; None: it is not said."""
    thinking_tokens: dict[str, int] = Factory(dict)
    """Room for its thinking by effort, in tokens, beside what it may answer; ``default`` where no effort is said."""

    batch_price: Price | None = None
    """Per million tokens in the lane ``batch``; None: batches of it are not sold."""

    @property
    def sent_name(self) -> str:
        """The name the vendor knows."""
        return self.wire_name or self.id

    @property
    def thinking(self) -> int:
        """The tokens that are added to a limit for its thinking; of an effort without a number the largest declared."""
        if not self.thinking_in_limit or not self.thinking_tokens:
            return 0
        return self.thinking_tokens.get(self.effort or DEFAULT_EFFORT, max(self.thinking_tokens.values()))

    def price_in(self, lane: Lane) -> Price | None:
        """What its tokens cost in a lane."""
        return self.batch_price if lane is Lane.BATCH else self.price

    def output_bound(self, max_tokens: int) -> int | None:
        """The most output tokens a call with this limit can be billed for, or None where nothing bounds it."""
        return max_tokens if self.thinking_in_limit else self.max_output

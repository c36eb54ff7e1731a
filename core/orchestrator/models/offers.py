"""What a provider sells."""

from attrs import frozen

from orchestrator.money import Price


@frozen
class ModelInfo:
    """What is known of one model a provider sells. A fact that is not declared is None and satisfies no restriction."""

    id: str
    """The name a run, a policy and the log use; unique within a run."""
    provider: str
    """The entry-point name of the plugin that speaks to it."""
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
    """The vendor's size class, such as ``premium``; a reviewer of the same vendor is of another tier if possible."""
    regions: tuple[str, ...] = ()
    trains_on_data: bool | None = None
    abilities: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    """The specification's names this model fills today."""
    wire_name: str | None = None
    """The name sent to the vendor, where it differs from ``id``."""
    source: str = ""
    """Where the facts and the price come from, such as ``spec`` or a catalogue's name and date."""

    @property
    def sent_name(self) -> str:
        """The name the vendor knows."""
        return self.wire_name or self.id

    def output_bound(self, max_tokens: int) -> int | None:
        """The most output tokens a call with this limit can be billed for, or None where nothing bounds it."""
        return max_tokens if self.thinking_in_limit else self.max_output

"""A simulated provider that answers with the last message in capital letters."""

from collections.abc import Sequence

from orchestrator.spi import (
    Body,
    CallContext,
    ModelInfo,
    Price,
    Provider,
    ProviderConfig,
    Reply,
    Request,
    Usage,
    Usd,
    hookimpl,
)


class EchoUpper:
    """Repeats what it hears, louder."""

    simulated = True

    def __init__(self, declared: Sequence[ModelInfo]) -> None:
        self._models = tuple(declared) or (
            ModelInfo(
                id="echo-upper",
                provider="echo_upper",
                vendor="echo",
                price=Price(Usd.parse("0.10"), Usd.parse("0.40")),
                context=32768,
                max_output=4096,
            ),
        )

    def models(self) -> Sequence[ModelInfo]:
        """Sell one model, or those that the user declares."""
        return self._models

    def encode(self, request: Request) -> Body:
        """Send the texts, one a line."""
        return Body("\n".join(message.text for message in request.messages).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Answer with the last message."""
        text = body.request.messages[-1].text.upper()
        return Reply(text, Usage(input=len(body.content), output=min(len(text), body.request.max_tokens)))


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider:
    """Build the provider."""
    return EchoUpper(config.models)

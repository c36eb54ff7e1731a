"""The provider gateway: a gateway that takes one JSON document per call.

Options in a spec: ``base_url``. The key comes from the variable GATEWAY_API_KEY.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.spi import (
    Billed,
    Body,
    CallContext,
    ErrorKind,
    Finish,
    ModelInfo,
    Provider,
    ProviderConfig,
    ProviderError,
    Reply,
    Request,
    SpecError,
    Usage,
    hookimpl,
)

if TYPE_CHECKING:
    import httpx

orchestrator_interface = ">=1,<2"

KINDS: Mapping[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    403: ErrorKind.AUTHENTICATION,
    404: ErrorKind.UNKNOWN_MODEL,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
}


class GatewayProvider:
    """Calls the gateway. It sends each request once; the program does all retries."""

    simulated = False

    def __init__(self, base_url: str, key: str, models: Sequence[ModelInfo]) -> None:
        self.base_url = base_url
        self._key = key
        self._models = tuple(models)

    def models(self) -> Sequence[ModelInfo]:
        """The models that the spec declares for this provider."""
        return self._models

    def encode(self, request: Request) -> Body:
        """The bytes to send. The most a call can cost is computed from them and from ``max_tokens``."""
        fields = {
            "model": request.model.sent_name,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "messages": [{"role": each.author, "content": each.text} for each in request.messages],
        }
        return Body(json.dumps(fields).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send the bytes. Return the answer, or raise a classified error."""
        import httpx

        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            response = await ctx.http.post(
                f"{self.base_url}/chat", content=body.content, headers=headers, timeout=ctx.timeout
            )
        except httpx.ConnectError as error:  # no other failure proves that nothing was billed
            raise ProviderError("no connection", kind=ErrorKind.CONNECTION, retryable=True, billed=Billed.NO) from error
        except httpx.TimeoutException as error:
            raise ProviderError("no answer in time", kind=ErrorKind.TIMEOUT, retryable=True) from error
        except httpx.HTTPError as error:
            raise ProviderError("the connection broke", kind=ErrorKind.CONNECTION, retryable=True) from error
        if response.status_code != 200:
            raise refusal(response)
        return read(response.content)


def refusal(response: "httpx.Response") -> ProviderError:
    """Classify a status other than 200: whether to retry, and whether it was billed."""
    status, wait = response.status_code, response.headers.get("retry-after", "")
    gave_up = status < 400 or status in (408, 499, 504) or 520 <= status <= 529
    return ProviderError(
        f"the gateway answered {status}",
        kind=KINDS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST),
        retryable=status == 429 or status >= 500,
        retry_after=float(wait) if wait.isdecimal() and len(wait) < 6 else None,
        billed=Billed.UNKNOWN if gave_up else Billed.NO,
        status=status,
    )


def read(content: bytes) -> Reply:
    """Read the reply from a body. Cached tokens are part of ``input`` there, so they are subtracted."""
    try:
        answer: Any = json.loads(content)
        counts = answer["usage"]
        usage = Usage(
            input=counts["input"] - counts.get("cached", 0),
            cached_input=counts.get("cached", 0),
            output=counts["output"],
        )
        finish = Finish.LENGTH if answer.get("stopped") == "length" else Finish.STOP
        return Reply(str(answer["text"]), usage, finish)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ProviderError("the body is no answer", kind=ErrorKind.BAD_ANSWER, retryable=True) from error


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider. Return None without a key or an address."""
    unknown = sorted(set(config.options) - {"base_url"})
    if unknown:
        raise SpecError([f"providers.{config.name}: unknown option {name!r}; it takes base_url" for name in unknown])
    base_url = config.options.get("base_url") or config.variable("GATEWAY_BASE_URL")
    key = config.secret("GATEWAY_API_KEY")
    if not base_url or not key:
        return None
    return GatewayProvider(str(base_url).rstrip("/"), key, config.models)

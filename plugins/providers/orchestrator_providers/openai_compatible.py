"""The provider ``openai_compatible``: any server that speaks OpenAI's ``/chat/completions``.

Options in a spec, all optional::

    providers:
      openai_compatible:
        base_url: http://127.0.0.1:8080/v1    # else OPENAI_COMPATIBLE_BASE_URL of the environment
        api_key_env: MY_KEY                   # the variable that holds the key

A key travels in a header only. A base URL of the environment gets ``OPENAI_COMPATIBLE_API_KEY`` unless
``api_key_env`` names another variable; a base URL of a spec gets a key only from the variable the spec names. The
models, their prices and slots come from the spec or a models file. A model with the ability ``json_schema`` is
asked for JSON by schema, one with ``json_object`` for JSON; others only by the prompt.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator.spi import (
    Billed,
    Body,
    CallContext,
    ErrorKind,
    ModelInfo,
    Provider,
    ProviderConfig,
    ProviderError,
    Reply,
    Request,
    SpecError,
    hookimpl,
)
from orchestrator_providers.openai_answers import read_answer

if TYPE_CHECKING:
    import httpx

BASE_URL_VARIABLE: Final = "OPENAI_COMPATIBLE_BASE_URL"
KEY_VARIABLE: Final = "OPENAI_COMPATIBLE_API_KEY"

_OPTIONS: Final = ("base_url", "api_key_env")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class OpenAICompatible:
    """Speaks to one server at one base URL."""

    simulated = False

    def __init__(self, base_url: str, key: str | None, models: Sequence[ModelInfo]) -> None:
        self._url = f"{base_url}/chat/completions"
        self._key = key
        self._models = tuple(models)

    def models(self) -> Sequence[ModelInfo]:
        """The models the user declared for this provider."""
        return self._models

    def encode(self, request: Request) -> Body:
        """The request as compact JSON with sorted keys."""
        fields: dict[str, Any] = {
            "model": request.model.sent_name,
            "messages": [{"role": each.author, "content": _clean(each.text)} for each in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.json_schema is not None:
            if "json_schema" in request.model.abilities:
                wanted = {"name": "answer", "schema": request.json_schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": wanted}
            elif "json_object" in request.model.abilities:
                fields["response_format"] = {"type": "json_object"}
        text = json.dumps(
            fields, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_plain
        )
        return Body(_clean(text).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send the bytes once and read the answer.

        Raises:
            ProviderError: the call failed.
        """
        import httpx

        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Idempotency-Key": ctx.idempotency_key,
        }
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            async with ctx.http.stream("POST", self._url, content=body.content, headers=headers) as response:
                content = await _read(response)
                return read_answer(response.status_code, response.headers, content, self._key)
        except ProviderError:
            raise
        except httpx.HTTPError as error:
            raise _transport_error(error) from error
        except Exception as error:
            raise ProviderError(f"{type(error).__name__}: {str(error)[:500]}", kind=ErrorKind.PLUGIN) from error


async def _read(response: "httpx.Response") -> bytes:
    import httpx

    try:
        return await response.aread()
    except httpx.HTTPError:
        # The status of a refusal says enough; what was to explain it is lost.
        if response.status_code < 400:
            raise
        return b""


def _transport_error(error: "httpx.HTTPError") -> ProviderError:
    import httpx

    kind, retryable, billed = ErrorKind.CONNECTION, True, Billed.UNKNOWN
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        billed = Billed.NO
    elif isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        kind, retryable, billed = ErrorKind.UNSENT, False, Billed.NO
    elif isinstance(error, httpx.TimeoutException):
        kind = ErrorKind.TIMEOUT
    elif isinstance(error, httpx.DecodingError):
        kind, retryable = ErrorKind.BAD_ANSWER, False
    return ProviderError(
        f"{type(error).__name__}: {str(error)[:500] or 'no details'}", kind=kind, retryable=retryable, billed=billed
    )


def _clean(text: str) -> str:
    """The text with every lone surrogate, which no encoding can carry, replaced."""
    return _SURROGATE.sub("\ufffd", text)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _checked_url(value: object, source: str) -> str:
    if not isinstance(value, str):
        raise SpecError([f"{source}: the base URL must be text such as http://127.0.0.1:8080/v1"])
    try:
        parts = urlsplit(value.strip())
        parts.port  # noqa: B018 - raises where it is not a number
    except ValueError as error:
        raise SpecError([f"{source}: the base URL cannot be read: {error}"]) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecError([f"{source}: the base URL must start with http:// or https:// and name a host"])
    if parts.username is not None or parts.password is not None:
        raise SpecError([f"{source}: the base URL must hold no user name or password; a key comes from a variable"])
    if parts.query or parts.fragment:
        raise SpecError([f"{source}: the base URL must end with its path, such as /v1"])
    return value.strip().rstrip("/").removesuffix("/chat/completions")


def _key(config: ProviderConfig, variable: str) -> str | None:
    key = config.secret(variable)
    key = None if key is None else key.strip()
    if key and not (key.isascii() and key.isprintable()):
        raise SpecError([f"{variable}: the key has characters that no header can carry; copy it again"])
    return key or None


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where no base URL is known or the named key variable is unset."""
    where = f"providers.{config.name}"
    unknown = [str(name) for name in config.options if name not in _OPTIONS]
    if unknown:
        raise SpecError([f"{where}: unknown option {name!r}; it takes {', '.join(_OPTIONS)}" for name in unknown])
    named = config.options.get("api_key_env")
    if named is not None and not (isinstance(named, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", named)):
        raise SpecError([f"{where}.api_key_env: give the name of an environment variable, not the key itself"])
    url: object = config.options.get("base_url")
    source = f"{where}.base_url"
    default_key: str | None = None
    if url is None:
        url, source, default_key = config.variable(BASE_URL_VARIABLE), BASE_URL_VARIABLE, KEY_VARIABLE
        if url is None:
            return None
    base_url = _checked_url(url, source)
    variable = named or default_key
    key = None if variable is None else _key(config, variable)
    if named is not None and key is None:
        return None
    return OpenAICompatible(base_url, key, config.models)

"""A models file from what a server lists: OpenAI's ``/v1/models``, Ollama's ``/api/tags``, LiteLLM's ``/model/info``.

Only what the server says is written down. A model whose price it does not say is written as a comment, for the user to
complete: no price is made up.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from orchestrator.errors import ErrorKind, ProviderError, UsageError
from orchestrator.money import NANO, Usd

if TYPE_CHECKING:
    import httpx

_MOST: Final = 1000
"""A models file holds no more."""

_ENGINES: Final = frozenset({"library", "ollama", "llamacpp", "vllm", "sglang"})
"""What ``owned_by`` is where the server itself computes the answers; on this machine they cost nothing per token."""

_VERSION: Final = re.compile(r"/v\d+[a-z]*$")
_MILLION: Final = 1_000_000
_PRICES: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("prompt", "input_cost_per_token"),
    "output": ("completion", "output_cost_per_token"),
    "cached_input": ("input_cache_read", "cache_read_input_token_cost"),
    "cache_write": ("input_cache_write", "cache_creation_input_token_cost"),
}
_CONTEXTS: Final = (
    "context_length",
    "max_model_len",
    "context_window",
    "max_context_length",
    "n_ctx",
    "max_input_tokens",
)
_OUTPUTS: Final = ("max_completion_tokens", "max_output_tokens", "max_output_length")
_NO_CHAT: Final = ("embedding", "rerank", "image_generation", "audio_transcription", "audio_speech", "moderation")

_FREE: Final[Mapping[str, Usd]] = {"input": Usd.ZERO, "output": Usd.ZERO}


@frozen
class OfferedModel:
    """What a server says of one model."""

    id: str
    vendor: str | None = None
    price: Mapping[str, Usd] = field(factory=dict)
    """US dollars per million tokens, by token class; empty where the server does not say."""
    context: int | None = None
    max_output: int | None = None
    abilities: tuple[str, ...] = ()
    is_free: bool = False
    """Whether its tokens are computed by this very machine."""


@frozen
class ServerOffer:
    """What a server lists, and the base URL at which its models are called."""

    base_url: str
    models: tuple[OfferedModel, ...]


async def offered_models(
    base_url: str, key: str | None, http: "httpx.AsyncClient", is_local: Callable[[str], bool]
) -> ServerOffer:
    """Ask a server what it serves; this costs nothing.

    Args:
        base_url: the address below which it answers.
        key: sent to it, if any.
        http: the client.
        is_local: whether an address is this machine's own; what it serves costs nothing there.

    Raises:
        UsageError: it is no address.
        ProviderError: the server lists nothing; the message says what it answered.
    """
    address = _checked(base_url)
    root = _VERSION.sub("", address)
    versioned = address if address != root else f"{root}/v1"
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    problems: list[str] = []
    for url, called in (
        (f"{versioned}/models", versioned),
        (f"{root}/models", root),
        (f"{root}/api/tags", f"{root}/v1"),
    ):
        found = await _get(http, url, headers, problems)
        entries = _entries(found)
        if entries:
            prices = {} if _is_priced(entries) else await _gateway_info(http, root, headers)
            return ServerOffer(called, tuple(_suggested(entries, prices, url.endswith("/api/tags"), is_local(address))))
    raise ProviderError(f"{address} lists no models: " + "; ".join(problems), kind=ErrorKind.BAD_REQUEST)


def _checked(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable or "@" in value:
        raise UsageError(f"{value!r} is no base URL; give one such as http://127.0.0.1:11434/v1, without a key in it")
    return value.strip().rstrip("/").removesuffix("/chat/completions").removesuffix("/models")


async def _get(http: "httpx.AsyncClient", url: str, headers: Mapping[str, str], problems: list[str]) -> Any:
    """The JSON at an address, or None, with the reason among the problems.

    Raises:
        ProviderError: the host cannot be reached.
    """
    import httpx

    try:
        answer = await http.get(url, headers=headers, timeout=10.0)
    except httpx.ConnectError as error:
        raise ProviderError(f"no list of models: {error}", kind=ErrorKind.CONNECTION) from error
    except httpx.HTTPError as error:
        problems.append(f"{urlsplit(url).path}: {type(error).__name__}")
        return None
    try:
        if answer.status_code == 200:
            return json.loads(answer.content)
        problems.append(f"{urlsplit(url).path}: HTTP {answer.status_code}")
    except (ValueError, RecursionError):
        problems.append(f"{urlsplit(url).path}: no JSON")
    return None


def _entries(found: Any) -> list[Mapping[str, Any]]:
    listed = found.get("data", found.get("models")) if isinstance(found, dict) else found
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


async def _gateway_info(
    http: "httpx.AsyncClient", root: str, headers: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """What a LiteLLM gateway says of its models beside their names; nothing of other servers."""
    found = _entries(await _get(http, f"{root}/model/info", headers, []))
    named = ((each.get("model_name"), each.get("model_info")) for each in found)
    return {name: info for name, info in named if isinstance(name, str) and isinstance(info, dict)}


def _is_priced(entries: Iterable[Mapping[str, Any]]) -> bool:
    return any(isinstance(each.get("pricing"), dict) for each in entries)


def _suggested(
    entries: Sequence[Mapping[str, Any]], info: Mapping[str, Mapping[str, Any]], is_engine: bool, local: bool
) -> Iterator[OfferedModel]:
    seen: set[str] = set()
    for entry in entries:
        name = entry.get("id") or entry.get("name") or entry.get("model")
        if not isinstance(name, str) or not name.isprintable() or len(name) > 200 or name in seen or len(seen) >= _MOST:
            continue
        facts = {**_flat(entry), **info.get(name, {})}
        if not _chats(facts):
            continue
        seen.add(name)
        vendor, slash, _ = name.partition("/")
        yield OfferedModel(
            name,
            vendor.lower() if slash and vendor.isalnum() else None,
            _price(facts),
            _first(facts, _CONTEXTS),
            _first(facts, _OUTPUTS),
            _abilities(facts),
            local and (is_engine or facts.get("owned_by") in _ENGINES),
        )


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an entry, those of its parts among them."""
    parts = [entry.get(part) for part in ("meta", "details", "architecture", "pricing", "top_provider")]
    flat = {
        name: value for part in parts if isinstance(part, dict) for name, value in part.items() if value is not None
    }
    return {**flat, **{name: value for name, value in entry.items() if value is not None}}


def _chats(facts: Mapping[str, Any]) -> bool:
    """Whether a model reads and writes text, as far as the server says."""
    modes = [facts.get(name) for name in ("input_modalities", "output_modalities")]
    return facts.get("mode") not in _NO_CHAT and all("text" in each for each in modes if isinstance(each, list))


def _price(facts: Mapping[str, Any]) -> dict[str, Usd]:
    """The price per million tokens of what is given per token; nothing where input or output is not said."""
    found = {token_class: _amount(facts, names) for token_class, names in _PRICES.items()}
    given = {token_class: amount for token_class, amount in found.items() if amount is not None}
    return given if "input" in given and "output" in given else {}


def _amount(facts: Mapping[str, Any], names: Iterable[str]) -> Usd | None:
    value = next((facts[name] for name in names if facts.get(name) is not None), None)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = Decimal(str(value)) * _MILLION
        nano = int((amount * NANO).to_integral_value(rounding="ROUND_CEILING"))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return Usd(nano) if 0 <= nano < 10**15 else None


def _first(facts: Mapping[str, Any], names: Iterable[str]) -> int | None:
    found = (facts.get(name) for name in names)
    return next((each for each in found if type(each) is int and 0 < each <= 100_000_000), None)


def _abilities(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What a request may ask for, where the server lists its parameters."""
    listed = facts.get("supported_parameters")
    if not isinstance(listed, list):
        return ()
    has: dict[str, bool] = {
        "json_schema": "structured_outputs" in listed,
        "json_object": "response_format" in listed,
        "reasoning": "reasoning" in listed,
        "effort": "reasoning_effort" in listed,
        "no_temperature": "temperature" not in listed,
        "no_seed": "seed" not in listed,
    }
    return tuple(name for name, there in has.items() if there)


def models_file(
    found: ServerOffer, provider: str, key_variable: str | None, price: Sequence[Usd] | None, day: str
) -> str:
    """The models file in YAML, with the lines of a spec that name the server.

    Args:
        found: what the server lists.
        provider: the instance's name.
        key_variable: the variable that holds the server's key.
        price: input and output, for the models whose price the server does not say.
        day: when the server was asked, in ISO 8601.
    """
    options = {"base_url": found.base_url, **({} if key_variable is None else {"api_key_env": key_variable})}
    instance = options if provider == "openai_compatible" else {"type": "openai_compatible", **options}
    lines = [
        "# Models of this server; the spec names it:",
        f"#   providers: {_inline({provider: instance})}",
        "# Use this file with --models FILE or the variable ORCHESTRATE_MODELS.",
        "models:",
    ]
    usual = None if price is None else dict(zip(("input", "output"), price, strict=True))
    priced = [(model, model.price or usual or (_FREE if model.is_free else None)) for model in found.models]
    for model, amounts in priced:
        if amounts is not None:
            lines += _item(model, provider, _inline(amounts, str_of=_plain), day, "")
    if not any(amounts for _, amounts in priced):
        lines[-1] = "models: []"
    unknown = [model for model, amounts in priced if amounts is None]
    if unknown:
        lines.append("# The server does not say what these cost. Fill in the price and take the # away:")
    for model in unknown:
        lines += _item(model, provider, "{input: , output: }", day, "# ")
    return "\n".join(lines) + "\n"


def _item(model: OfferedModel, provider: str, price: str, day: str, mark: str) -> list[str]:
    facts = {"vendor": model.vendor, "context": model.context, "max_output": model.max_output}
    lines = [f"- id: {json.dumps(model.id)}", f"  provider: {json.dumps(provider)}", f"  price: {price}"]
    lines.append(f"  price_date: {json.dumps(day)}")
    lines += [f"  {name}: {json.dumps(value)}" for name, value in facts.items() if value is not None]
    if model.abilities:
        lines.append(f"  abilities: {json.dumps(model.abilities)}")
    return [f"  {mark}{line}" for line in lines]


def _inline(value: Any, str_of: Callable[[Any], str] = json.dumps) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_inline(each, str_of)}" for name, each in value.items()) + "}"
    return str_of(value)


def _plain(amount: Usd) -> str:
    text = str(amount)
    return text.rstrip("0").rstrip(".") if "." in text else text

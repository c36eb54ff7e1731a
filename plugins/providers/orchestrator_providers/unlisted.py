"""What the price list has and the vendors' files lack: ``python -m orchestrator_providers.unlisted``.

It prints, for the upkeep of the files, a line for each model that the installed ``genai-prices`` sells by the token for
input and output, and that no vendor's file names. It is information, and never fails: a newer price list is no defect.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from orchestrator_providers import anthropic, deepseek, google, kimi, minimax, openai, zhipu
from orchestrator_providers.model_catalogue import Catalogue

CATALOGUES: Final = tuple(each.CATALOGUE for each in (openai, anthropic, google, kimi, deepseek, minimax, zhipu))

_NO_CHAT: Final = re.compile(
    r"image|audio|tts|realtime|transcribe|whisper|live|embedding|moderation|omni|robotics|vision|-ocr|search|"
    r"deep-research|computer-use|banana|gemma|gpt-oss|^ft:|davinci|curie|babbage|^ada$|instruct|codex|\dv(-|$)",
    re.IGNORECASE,
)
"""Names of what does not chat, or is not sold at the vendor's own address."""


def unlisted(catalogue: Catalogue, models: Iterable[Any]) -> Iterator[str]:
    """The ids in a price list that chat, are not said to be gone, and stand in no vendor's file."""
    others = [listed.id for each in CATALOGUES if each is not catalogue for listed in each.models]
    named = {*(listed.wire_name or listed.id for listed in catalogue.models), *catalogue.retired, *others}
    foreign = {name.partition("-")[0] for name in others}
    for entry in models:
        is_named = any(entry.is_match(name.lower()) for name in named) or entry.id.partition("-")[0] in foreign
        if not is_named and not entry.deprecated and not _NO_CHAT.search(entry.id) and _sells_tokens(entry.prices):
            yield entry.id


def _sells_tokens(prices: Any) -> bool:
    latest = prices[-1].prices if isinstance(prices, list) else prices
    return bool(getattr(latest, "input_mtok", None)) and bool(getattr(latest, "output_mtok", None))


def report() -> Iterator[str]:
    """A line for each vendor."""
    import genai_prices
    from genai_prices.data import providers

    by_id = {each.id: each.models for each in providers}
    for catalogue in CATALOGUES:
        names = ", ".join(sorted(unlisted(catalogue, by_id.get(catalogue.price_list, ())))) or "nothing"
        yield f"{catalogue.vendor}: genai-prices {genai_prices.__version__} has beside the file: {names}"


def main() -> None:
    """Print them. A price list of another shape is no defect of the program either."""
    try:
        lines = list(report())
    except Exception as error:
        lines = [f"the price list cannot be compared: {type(error).__name__}: {error}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""The command ``models suggest``."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.kit import OUTPUT_OR_STDOUT, STDOUT, Amount, home_option, notice, result
from orchestrator.errors import OutputError, UsageError

if TYPE_CHECKING:
    from orchestrator.money import Usd
    from orchestrator_providers.suggested_models import ServerOffer


@click.command()
@click.option("--base-url", required=True, metavar="URL", help="The server, such as http://127.0.0.1:11434/v1.")
@click.option("--api-key-env", metavar="NAME", help="The variable that holds the server's key.")
@click.option(
    "--provider", default="openai_compatible", show_default=True, metavar="NAME", help="The server's name in the spec."
)
@click.option(
    "--price",
    type=(Amount(or_nothing=True), Amount(or_nothing=True)),
    metavar="INPUT OUTPUT",
    help="US dollars per million tokens, for models whose price the server does not say.",
)
@click.option("--output", "-o", type=OUTPUT_OR_STDOUT, metavar="FILE", help="Write into this file. [default: stdout]")
@home_option
def suggest(
    base_url: str, api_key_env: str | None, provider: str, price: "tuple[Usd, Usd] | None", output: Path | None
) -> int:
    """Write a models file from what a server lists: /v1/models, or Ollama's /api/tags. This costs nothing.

    A model whose price the server does not say becomes a comment in the file, for you to complete.
    """
    from orchestrator.cli.kit import Environment, is_local, make_client
    from orchestrator_providers.suggested_models import models_file, offered_models

    if not provider.strip() or provider.startswith("?"):
        raise UsageError(f"--provider: {provider!r} is no name: in a spec ? stands before a name that may be unknown")
    environment = Environment.of_process(lambda secret: None)
    key = None if api_key_env is None else environment.secret(api_key_env)
    if api_key_env is not None and key is None:
        raise UsageError(f"--api-key-env: {api_key_env} is not set")
    network = environment.network()

    async def ask() -> "ServerOffer":
        async with make_client(network=network) as http:
            return await offered_models(base_url, key, http, is_local)

    found = asyncio.run(ask())
    text = models_file(found, provider, api_key_env, price, datetime.now(UTC).date().isoformat())
    if output is None or output == STDOUT:
        result(text.rstrip("\n"))
        return 0
    if output.exists():
        raise UsageError(f"{output} exists; name a new file")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror}") from error
    notice(f"{output}: {len(found.models)} models; use it with --models {output}")
    return 0

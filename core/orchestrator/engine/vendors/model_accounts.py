"""Whose money and quota a call uses, and which host it goes to: facts of a session's models."""

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from attrs import evolve

from orchestrator.models import ModelInfo
from orchestrator.spi import Provider


def located(models: Sequence[ModelInfo], providers: Mapping[str, Provider], secret: bytes) -> tuple[ModelInfo, ...]:
    """The models with their accounts and hosts; those of a simulated provider as they are."""
    accounts = {name: account_of(name, each, secret) for name, each in providers.items() if not each.simulated}
    return tuple(
        evolve(model, account=accounts[model.provider], host=host_of(providers[model.provider]))
        if model.provider in accounts
        else model
        for model in models
    )


def account_of(name: str, provider: Provider, secret: bytes) -> str:
    """The name of an account: equal for equal provider, key and address, and of use for nothing else."""
    from orchestrator.ledger.cache import request_of

    key, address = getattr(provider, "key", None), getattr(provider, "base_url", None)
    parts = ("account", name, *(each if isinstance(each, str) else "" for each in (key, address)))
    return hmac.digest(secret, request_of(*parts), "sha256").hex()[:32]


def host_of(provider: Provider) -> str | None:
    """The host and port of a provider's address, as it writes them; None where it names none."""
    address = getattr(provider, "base_url", None)
    try:
        return urlsplit(address).netloc.rpartition("@")[2].lower() or None if isinstance(address, str) else None
    except ValueError:
        return None

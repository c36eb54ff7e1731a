"""What the tests of providers share: a model, a request, a configuration and a context."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from orchestrator.models import ModelInfo, Role
from orchestrator.money import Price, Usd
from orchestrator.spi import CallContext, CallRef, Message, ProviderConfig, Request

MODEL = ModelInfo("m-1", "p", "vendor", Price(Usd.parse("1"), Usd.parse("2")), context=8000, max_output=1000)


def a_request(
    *,
    model: ModelInfo = MODEL,
    text: str = "Say hello.",
    max_tokens: int = 100,
    node: str = "task_001",
    role: Role = Role.GENERATOR,
    iteration: int = 1,
    sample: int = 1,
    try_: int = 1,
    json_schema: Mapping[str, Any] | None = None,
) -> Request:
    """A request with a system prompt and a user's message."""
    messages = (Message("system", f"Role: {role.value}"), Message("user", text))
    return Request(model, messages, max_tokens, 0.2, CallRef(node, role, iteration, sample, try_), json_schema)


def a_config(
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    name: str = "p",
    models: tuple[ModelInfo, ...] = (MODEL,),
    folder: str = ".",
) -> ProviderConfig:
    """A provider's configuration with an environment of its own."""
    variables = dict(environment or {})
    return ProviderConfig(name, options or {}, models, variables.get, variables.get, folder)


def a_context(client: httpx.AsyncClient, key: str = "key-1") -> CallContext:
    """A context around a client."""
    return CallContext(client, 30.0, asyncio.sleep, key)

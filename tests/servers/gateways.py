"""Servers as users have them: what OpenRouter, LiteLLM, Ollama and vLLM list, before the chat they all speak."""

from collections.abc import Mapping
from typing import Any, Final

from tests.servers.local import Fault, Received
from tests.servers.openai_server import OpenAIServer

OPENROUTER: Final[Mapping[str, Any]] = {
    "/api/v1/models": {
        "data": [
            {
                "id": "openai/gpt-6-luna",
                "name": "OpenAI: GPT-6 Luna",
                "context_length": 1_050_000,
                "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                "pricing": {"prompt": "0.0000001", "completion": "0.0000005", "input_cache_read": "0.00000001"},
                "top_provider": {"context_length": 1_050_000, "max_completion_tokens": 128_000, "is_moderated": True},
                "supported_parameters": ["max_tokens", "reasoning", "response_format", "seed", "structured_outputs"],
            },
            {
                "id": "moonshotai/kimi-k2.6",
                "context_length": 262_144,
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "pricing": {"prompt": "0.00000075", "completion": "0.0000034"},
                "top_provider": {"context_length": 262_144, "max_completion_tokens": None},
                "supported_parameters": ["max_tokens", "temperature", "response_format"],
            },
            {
                "id": "openrouter/auto",
                "context_length": 2_000_000,
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "pricing": {"prompt": "-1", "completion": "-1"},
            },
            {
                "id": "google/gemini-image",
                "architecture": {"input_modalities": ["text"], "output_modalities": ["image"]},
                "pricing": {"prompt": "0.000001", "completion": "0.000002"},
            },
        ]
    }
}

LITELLM: Final[Mapping[str, Any]] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 1677610602, "owned_by": "openai"}
            for name in ("writer", "judge", "house-model", "embedder")
        ],
    },
    "/model/info": {
        "data": [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{name}"},
                "model_info": {
                    "mode": mode,
                    "input_cost_per_token": read,
                    "output_cost_per_token": written,
                    "max_input_tokens": 272_000,
                    "max_output_tokens": 128_000,
                },
            }
            for name, mode, read, written in (
                ("writer", "chat", 1.25e-06, 1e-05),
                ("judge", "chat", 2.5e-07, 2e-06),
                ("house-model", "chat", None, None),
                ("embedder", "embedding", 2e-08, 0),
            )
        ]
    },
}

OLLAMA: Final[Mapping[str, Any]] = {
    "/api/tags": {
        "models": [
            {"name": "qwen3:8b", "model": "qwen3:8b", "size": 5_200_000_000, "details": {"family": "qwen3"}},
            {"name": "llama3.2:3b", "model": "llama3.2:3b", "details": {"family": "llama"}},
        ]
    }
}

VLLM: Final[Mapping[str, Any]] = {
    "/v1/models": {
        "object": "list",
        "data": [{"id": "org/small", "object": "model", "owned_by": "vllm", "max_model_len": 32_768}],
    }
}


class GatewayServer(OpenAIServer):
    """A server that lists its models as one of these does, and chats at ``/v1`` or below a prefix."""

    def __init__(self, lists: Mapping[str, Any], prefix: str = "", key: str | None = None) -> None:
        super().__init__()
        self._lists = lists
        self._prefix = prefix
        self._key = key
        self.looked_up: list[str] = []
        """The paths that were asked for a list."""

    @property
    def base_url(self) -> str:
        """What belongs into ``base_url``."""
        return f"{self.address}{self._prefix}/v1"

    def respond(self, received: Received) -> Fault:
        """What to send for a request."""
        if self._key is not None and received.headers.get("authorization") != f"Bearer {self._key}":
            return Fault(401, {"error": {"message": "no such key", "code": "invalid_api_key"}})
        if received.method == "GET":
            with self._lock:
                self.looked_up.append(received.path)
            if received.path in self._lists:
                return Fault(200, self._lists[received.path])
            return Fault(404, {"error": {"message": f"no such path: {received.path}"}})
        if received.path != f"{self._prefix}/v1/chat/completions":
            return Fault(404, {"error": {"message": f"no such path: {received.path}"}})
        return self.serve(received.body, received.headers)[0]

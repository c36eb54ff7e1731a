"""The provider ``openai_compatible``: any server that speaks OpenAI's ``/chat/completions``.

Options in a spec, all optional::

    providers:
      openai_compatible:
        base_url: http://127.0.0.1:8080/v1    # else OPENAI_COMPATIBLE_BASE_URL of the environment
        api_key_env: MY_KEY                   # the variable that holds the key
        stream: true                          # else only for models with the ability reasoning
        idle_seconds: 120                     # how long a stream may be silent
        effort: low                           # for models with the ability effort

A base URL of the environment gets ``OPENAI_COMPATIBLE_API_KEY`` unless ``api_key_env`` names another variable; a base
URL of a spec gets a key only from the variable the spec names. The models, their prices, slots and abilities come from
the spec or a models file; one with a ``batch_price`` is called in batches where a spec says ``lane: batch``.
"""

from typing import Any, Final

from attrs import evolve

from orchestrator.spi import Provider, ProviderConfig, Request, hookimpl
from orchestrator_providers.keys_and_addresses import CALLING, REACHING, check_options, find_access, read_manner
from orchestrator_providers.model_catalogue import with_effort
from orchestrator_providers.openai_batches import OpenAIBatches
from orchestrator_providers.openai_family import OpenAIFamily

BASE_URL_VARIABLE: Final = "OPENAI_COMPATIBLE_BASE_URL"
KEY_VARIABLE: Final = "OPENAI_COMPATIBLE_API_KEY"


class OpenAICompatible(OpenAIBatches, OpenAIFamily):
    """Speaks to one server at one base URL."""

    takes_any_schema = True
    # Only models that are declared with a batch_price: most servers have no batches.
    sells_batches = False

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request, with its seed; the ability ``no_seed`` is for a server that refuses one."""
        fields = super().fields(request)
        if request.seed is not None and "no_seed" not in request.model.abilities:
            fields["seed"] = request.seed
        return fields


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where no base URL is known or the named key variable is unset."""
    check_options(config, (*REACHING, *CALLING))
    manner = read_manner(config)
    access = find_access(config, keys=(KEY_VARIABLE,), addresses=(BASE_URL_VARIABLE,), default=None)
    if access is None:
        return None
    base_url = access.base_url.removesuffix("/chat/completions")
    models = tuple([with_effort(each, config, "low") for each in config.models])
    return OpenAICompatible(evolve(access, base_url=base_url), models, manner)

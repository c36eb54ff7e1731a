"""Provider instances: several servers that one plugin calls, each under a name of its own."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.errors import SpecError
from orchestrator.models import ModelInfo
from orchestrator.models.offers import qualified
from orchestrator.spi import ProviderConfig

TYPE: Final = "type"
"""The option that names an instance's plugin; it is no option of the plugin."""

Look = Callable[[str], str | None]
"""Returns the value of an environment variable, or None."""


@frozen
class Instance:
    """One entry under ``providers`` in a spec."""

    name: str
    type: str
    """The entry-point name of its plugin."""
    options: Mapping[str, Any]
    """What the plugin is built with."""

    def config(self, declared: Iterable[ModelInfo], secret: Look, variable: Look, folder: str) -> ProviderConfig:
        """What the plugin is built with: these options, and those of the models that are declared for this instance."""
        own = tuple(model for model in declared if model.provider == self.name)
        return ProviderConfig(self.name, deepcopy(dict(self.options)), own, secret, variable, folder)

    def named(self, model: ModelInfo) -> ModelInfo:
        """The model as a run knows it: ``INSTANCE/ID`` where the instance is not called as its plugin."""
        if self.name == self.type:
            return model
        return evolve(model, id=qualified(self.name, model.id), wire_name=model.sent_name, provider_type=self.type)


def instances_of(providers: Mapping[str, Mapping[str, Any]], installed: Iterable[str]) -> tuple[Instance, ...]:
    """The instances a spec names, in its order; where it names none, one for each installed plugin.

    Raises:
        SpecError: a name that cannot stand before the ``/`` of a model's id, or that is another plugin's.
    """
    plugins = tuple(installed)
    if not providers:
        return tuple([Instance(name, name, {}) for name in plugins])
    found = [_instance(name, options) for name, options in providers.items()]
    problems = [problem for each in found if (problem := _problem(each, plugins))]
    if problems:
        raise SpecError(problems)
    return tuple(found)


def _instance(name: str, options: Mapping[str, Any]) -> Instance:
    others = {option: value for option, value in options.items() if option != TYPE}
    return Instance(name, str(options.get(TYPE) or name), others)


def _problem(instance: Instance, plugins: tuple[str, ...]) -> str:
    if instance.name == instance.type:
        return ""
    if instance.name in plugins:
        return f"providers.{instance.name}: this is the name of a provider plugin; call the instance something else"
    return f"providers.{instance.name}: the name of an instance has no /" if "/" in instance.name else ""

"""What is compared: the arms of an evaluation, from ``--vary`` and ``--set``, and the control arms beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from orchestrator.documents import Address
from orchestrator.errors import UsageError
from orchestrator.models import ModelInfo, usual_quality
from orchestrator.spec import addresses_of, apply_sets, read_models
from orchestrator.spec.model_keys import MODELS
from orchestrator_eval.suite_file import Suite

PLAIN: Final = "plain"
"""The control arm: one call of the first model of the row for each task."""
SINGLE: Final = "single"
"""What the name of the other control arm begins with: one call of the best model."""
USUAL: Final = "default"
"""The arm of the suite as it is."""


@frozen
class Arm:
    """One setting that every case is run in.

    Attributes:
        name: as the results show it.
        control: whether it is there for comparison only.
        sets: changes of the spec, as ``--set`` writes them.
        models: a models file's content, which replaces the spec's models of the same ids.
        model: the only model that may be called.
        varied: those of the changes that ``--vary`` made.
    """

    name: str
    control: bool = False
    sets: tuple[str, ...] = ()
    models: tuple[Mapping[str, Any], ...] = ()
    model: str | None = None
    varied: tuple[str, ...] = field(default=(), eq=False)

    def applied(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document of a spec in this arm.

        Raises:
            UsageError: a change leads nowhere.
        """
        changed: dict[str, Any] = dict(apply_sets(dict(document), self.sets))
        if self.models:
            changed["models"] = _replaced(changed.get("models") or (), self.models)
        if self.model is not None:
            only = {"name": f"only {self.model}"[:200], "allowed_models": [self.model]}
            changed["policies"] = [*(changed.get("policies") or ()), only]
        return changed

    def options(self, applied: Mapping[str, Any]) -> dict[Address, str]:
        """The option that gave each part of a document to which the arm was applied, by the part's address."""
        set_ = [change for change in self.sets if change not in self.varied]
        found = {**addresses_of(applied, set_, "--set"), **addresses_of(applied, self.varied, "--vary")}
        if self.model is not None:
            found["policies", len(applied["policies"]) - 1] = "--vary"
        for number in range(len(self.models)):
            found["models", number] = "--vary"
        return found

    @property
    def does(self) -> tuple[Any, ...]:
        """What it changes; two arms that change the same are one."""
        latest = {change.partition("=")[0].strip(): change for change in self.sets}
        return frozenset(latest.values()), tuple(map(repr, self.models)), self.model

    def plain(self) -> dict[str, Any]:
        """Plain data that ``of`` reads."""
        return {
            "name": self.name,
            "control": self.control,
            "sets": list(self.sets),
            "models": [dict(each) for each in self.models],
            "model": self.model,
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Arm":
        """The arm that ``plain`` wrote."""
        return cls(**{**value, "sets": tuple(value["sets"]), "models": tuple(value["models"])})


def with_models(suite: Suite, files: Iterable[Path]) -> Suite:
    """The suite with the models of files in every case's spec; a later file wins.

    Raises:
        SpecError: a models file cannot be used.
    """
    spec = dict(suite.spec)
    for file in files:
        spec["models"] = _replaced(spec.get("models") or (), MODELS.dump(read_models(file)))
    return evolve(suite, spec=spec)


def _replaced(models: Iterable[Any], given: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The given models before the others; one of the same id and provider is replaced."""
    named = {_key(each) for each in given}
    return [*given, *(each for each in models if _key(each) not in named)]


def _key(model: Any) -> tuple[Any, Any]:
    return (model.get("provider"), model.get("id")) if isinstance(model, Mapping) else (None, None)


def arms_of(vary: Sequence[str], sets: Sequence[str]) -> tuple[Arm, ...]:
    """The arms of all combinations of the values of ``--vary KEY=VALUE,VALUE``; one arm where nothing varies.

    Raises:
        UsageError: a ``--vary`` is not of this form, or varies a key twice.
        SpecError: a models file cannot be used.
    """
    apply_sets({}, sets)
    axes = [list(_axis(text)) for text in vary]
    keys = [text.partition("=")[0].strip() for text in vary]
    twice = next((name for name in keys if keys.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--vary {twice} is given twice; write all values into one: {twice}=A,B")
    return tuple(_joined(each, tuple(sets)) for each in product(*axes)) if axes else (Arm(USUAL, sets=tuple(sets)),)


def _axis(text: str) -> Iterator[Arm]:
    name, equals, written = text.partition("=")
    name, values = name.strip(), [each.strip() for each in _split(written)]
    if not equals or not name or not all(values):
        raise UsageError(f"--vary {text}: write it as KEY=VALUE,VALUE")
    if len(set(values)) < len(values):
        raise UsageError(f"--vary {text}: a value is named twice")
    for value in values:
        label = f"{name}={Path(value).name if name in ('models', 'prompts') else value}"
        match name:
            case "models":
                yield Arm(label, models=tuple(MODELS.dump(read_models(Path(value).expanduser()))))
            case "model":
                yield Arm(label, model=value)
            case "backend":
                yield _setting(label, f"routing.backend={value}")
            case "prompts":
                yield _setting(label, f"prompts={Path(value).expanduser().absolute()}")
            case _:
                apply_sets({}, [f"{name}={value}"])
                yield _setting(label, f"{name}={value}")


def _setting(label: str, change: str) -> Arm:
    return Arm(label, sets=(change,), varied=(change,))


def _split(written: str) -> list[str]:
    """The values between commas outside brackets, braces and quotes."""
    found, depth, quote, begun = [], 0, "", 0
    for place, letter in enumerate(written):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth <= 0:
            found.append(written[begun:place])
            begun = place + 1
    return [*found, written[begun:]]


def _joined(parts: Sequence[Arm], sets: tuple[str, ...]) -> Arm:
    return Arm(
        name=", ".join(part.name for part in parts),
        sets=(*sets, *(change for part in parts for change in part.sets)),
        models=tuple(model for part in parts for model in part.models),
        varied=tuple(change for part in parts for change in part.varied),
        model=next((part.model for part in parts if part.model is not None), None),
    )


def with_controls(arms: Sequence[Arm], sets: Sequence[str], best: str | None) -> tuple[Arm, ...]:
    """The arms, and the control arms that are not among them.

    Args:
        arms: what is compared.
        sets: what ``--set`` changes in every arm.
        best: the id of the best model; None: there is only one, so that ``plain`` is both controls.
    """
    plain = Arm(PLAIN, control=True, sets=(*sets, f"loop={PLAIN}"))
    controls = [plain] if best is None else [plain, evolve(plain, name=f"{SINGLE} {best}", model=best)]
    found = list(arms)
    for control in controls:
        if all(control.does != arm.does for arm in found):
            found.append(control)
    return tuple(found)


def best_model(models: Iterable[ModelInfo]) -> str | None:
    """The model of the highest tier, of equals the dearest; None where there are not two."""
    known = [model for model in models if model.price is not None]
    if len(known) < 2:
        return None
    return max(known, key=lambda model: (usual_quality(model.tier), _blended(model), model.id)).id


def _blended(model: ModelInfo) -> int:
    return 0 if model.price is None else model.price.blended.nano

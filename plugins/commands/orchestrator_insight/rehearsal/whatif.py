"""What other rules would have done with a run that has been: played twice on its recorded outcomes, and compared.

No model is called and nothing is written. Both plays begin at the run's first event and go through without its crashes:
``Whatif.faithful`` says whether the play under the run's own rules asks exactly what the run asked.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import Factory, define, evolve, frozen

from orchestrator import events as e
from orchestrator.decide import Rank
from orchestrator.decide.roster import Rejection
from orchestrator.models import ProjectStatus, RejectionReason, Strategy, TaskType
from orchestrator.money import Price, Usd
from orchestrator.policy import Policy, with_strictest_modes
from orchestrator.settings import RunSettings
from orchestrator.state.calls import CallKey
from orchestrator.state.run import RunState
from orchestrator_insight.rehearsal.play import Play
from orchestrator_insight.rehearsal.recorded import Basis, RecordedRun, record


class ChangeReason(StrEnum):
    """Why a call of only one of the two plays is not made in the other."""

    NOT_CALLED = "not_called"
    """It is not wanted any more."""
    NO_MONEY = "no_money"
    """The hold of no candidate fitted."""
    NEW = "new"
    """Only the second play makes it."""


@frozen
class Rules:
    """What is to be different. What is None or empty stays as the run had it."""

    policies: tuple[Policy, ...] = ()
    """More policies, before the run's own."""
    node_policies: Mapping[str, tuple[Policy, ...]] = Factory(dict)
    """More policies of single nodes, before the run's own."""
    prices: Mapping[str, Price] = Factory(dict)
    """By model id."""
    cap: Usd | None = None
    backend: e.PluginUsed | None = None
    """Ranks all candidates."""
    loop: Mapping[TaskType, Strategy] | None = None
    """The strategies of the review loop, by type."""


@frozen
class ChangedCall:
    """A logical call that another model would have been asked for, or only one of the two plays asks for."""

    key: CallKey
    was: str | None
    """The model that answered, or was asked last; None: the call was not made."""
    now: str | None
    why: RejectionReason | ChangeReason
    """Why ``was`` is not asked: what removed it, or why the call is not made at all."""
    policy: str | None = None
    """With ``policy``: its name."""


@frozen
class RefusedCall:
    """A logical call without money."""

    key: CallKey
    need: Usd
    free: Usd


@frozen
class Side:
    """One of the two plays."""

    status: ProjectStatus | None
    """None: it waits for something that the recording cannot bring."""
    spend: Usd
    """Settled + unreconciled."""
    exact: Usd
    """What of it rests on recorded answers of the very model."""
    calls: int
    refused: tuple[RefusedCall, ...]
    models: Mapping[CallKey, str]
    """By logical call that was made, the model that was asked last."""
    rejection: Mapping[CallKey, Mapping[str, Rejection]]
    """By logical call, why each candidate was out."""


@frozen
class Whatif:
    """The run under its own rules, and under others."""

    was: Side
    now: Side
    changes: tuple[ChangedCall, ...]
    """In the order of the plays; the quality of what they lead to is unknown."""
    repriced: Usd
    """How much more the unchanged calls would have cost; exact."""
    faithful: bool
    """Whether the play under the run's own rules asks the same models for the same calls as the run did."""

    @property
    def difference(self) -> Usd:
        """How much more would have been spent."""
        return self.now.spend - self.was.spend


def whatif(history: Iterable[tuple[int, e.Event]], rules: Rules, rank: Rank | None, own_rank: Rank | None) -> Whatif:
    """Decide a recorded run again, under its own rules and under others.

    Args:
        history: pairs of at and event, from the beginning.
        rules: what is different.
        rank: the guard around the backend under these rules; None: the order of the routing table.
        own_rank: that of the run's own backend.

    Raises:
        ValueError: nothing was decided in the run yet.
    """
    recording = record(history)
    was, own = _play(recording.again(), Rules(), own_rank)
    now, other = _play(recording.again(), rules, rank)
    return Whatif(
        was=was,
        now=now,
        changes=tuple(_changes(was, now)),
        repriced=_repriced(own, other),
        faithful=_is_faithful(recording, own),
    )


@define
class _Watch:
    """Notes of a play what its state does not keep."""

    refused: list[RefusedCall] = Factory(list)
    models: dict[CallKey, str] = Factory(dict)
    rejection: dict[CallKey, dict[str, Rejection]] = Factory(dict)
    calls: int = 0

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Take in an event."""
        match event:
            case e.ModelSelected():
                key = CallKey(event.node, event.role, event.iteration, event.sample)
                self.models[key] = event.model
                known = self.rejection.setdefault(key, {})
                known.update(
                    (each.model, Rejection(each.rejection, each.policy))
                    for each in event.candidates
                    if each.rejection is not None
                )
            case e.CallStarted():
                self.calls += 1
            case e.SpendRefused():
                key = CallKey(event.node, event.role, event.iteration, event.sample)
                self.refused.append(RefusedCall(key, event.need, event.free))


def _play(recording: RecordedRun, rules: Rules, rank: Rank | None) -> tuple[Side, RecordedRun]:
    """One play from the first event to the end."""
    settings = recording.started.settings
    policies, node_policies = _joined(rules, settings)
    settings = evolve(
        settings,
        cap=recording.cap if rules.cap is None else rules.cap,
        time_limit=recording.time_limit,
        policies=policies,
        node_policies=node_policies,
        accounts=(),
        loop=settings.loop if rules.loop is None else dict(rules.loop),
        backend_named=settings.backend_named or rules.backend is not None,
    )
    opened = recording.opened
    plugins = opened.plugins
    if rules.backend is not None:
        plugins = (*(each for each in plugins if each.kind != "backend"), rules.backend)
    models = tuple(evolve(each, price=rules.prices.get(each.id, each.price)) for each in opened.models)
    opening = evolve(opened, number=1, plugins=plugins, models=models, files=False, caps={}, ended=(), reopened=())
    watch = _Watch()
    play = Play(recording, rank, watch.observe, now=recording.began)
    state: RunState = play.run([evolve(recording.started, settings=settings), opening])
    exact = (cost for version, cost in recording.spent.items() if recording.basis[version] is Basis.RECORDED)
    side = Side(
        status=None if state.finished is None else state.finished.status,
        spend=state.spend.total,
        exact=Usd(sum(cost.nano for cost in exact)),
        calls=watch.calls,
        refused=tuple(watch.refused),
        models={key: model for key, model in watch.models.items() if key not in {each.key for each in watch.refused}},
        rejection=watch.rejection,
    )
    return side, recording


def _joined(rules: Rules, settings: RunSettings) -> tuple[tuple[Policy, ...], dict[str, tuple[Policy, ...]]]:
    """The policies of both that bind the run, and those that bind its nodes, each in its strictest mode."""
    own = settings.node_policies
    nodes = {node: (*rules.node_policies.get(node, ()), *own.get(node, ())) for node in {**rules.node_policies, **own}}
    policies, by_node = with_strictest_modes((*rules.policies, *settings.policies), nodes)
    return policies, {node: tuple(dict.fromkeys(each)) for node, each in by_node.items()}


def _changes(was: Side, now: Side) -> Iterable[ChangedCall]:
    refused = {each.key for each in now.refused}
    for key, model in was.models.items():
        other = now.models.get(key)
        if other is None:
            yield ChangedCall(key, model, None, ChangeReason.NO_MONEY if key in refused else ChangeReason.NOT_CALLED)
        elif other != model:
            yield ChangedCall(
                key, model, other, *now.rejection.get(key, {}).get(model, Rejection(RejectionReason.RANKED))
            )
    for key, model in now.models.items():
        if key not in was.models:
            yield ChangedCall(key, None, model, ChangeReason.NEW)


def _repriced(was: RecordedRun, now: RecordedRun) -> Usd:
    """The difference over the attempts that both plays take from the recording as they were."""
    before, after = _exact(was), _exact(now)
    return Usd(sum(after[key].nano - before[key].nano for key in before.keys() & after.keys()))


def _exact(recording: RecordedRun) -> dict[tuple[CallKey, str, int], Usd]:
    numbers: dict[tuple[CallKey, str], int] = {}
    found = {}
    for version, (key, model) in recording.keys.items():
        number = numbers[key, model] = numbers.get((key, model), 0) + 1
        if recording.basis[version] is Basis.RECORDED:
            found[key, model, number] = recording.spent[version]
    return found


def _is_faithful(recording: RecordedRun, played: RecordedRun) -> bool:
    """Whether the play under the run's own rules is the run: every recorded end, and nothing else, is in it."""
    recorded = sum(len(ends) for call in recording.calls.values() for ends in call.ends.values())
    return len(played.basis) == recorded and all(basis is Basis.RECORDED for basis in played.basis.values())

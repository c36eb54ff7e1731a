"""The simulated machine: what outlives a process, and one process on it, which dies as a whole."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, cast

from attrs import Factory, define, field

from orchestrator import events as e
from orchestrator.decide import Rank
from orchestrator.engine.answers.blocks_as_files import content_of
from orchestrator.engine.answers_from_outside import QuestionReply
from orchestrator.engine.backend_guard import guard, run_here
from orchestrator.engine.outputs.verification import Verified
from orchestrator.engine.ports import Ports, in_place
from orchestrator.engine.questions import ApprovalQuestion, Offer, RiskForecast
from orchestrator.engine.resources import Resources
from orchestrator.engine.session import RunLog, Session
from orchestrator.engine.vendors.session_providers import Connected
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.log.protocol import Store
from orchestrator.log.redaction import Redactor
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import AnsweredBy, Verdict, VerificationProblem
from orchestrator.money import Usd
from orchestrator.plugins import Catalogue
from orchestrator.settings import SECOND
from orchestrator.spi import (
    Backend,
    CallRef,
    Candidate,
    Finding,
    ModelTelemetry,
    Provider,
    Ranked,
    RoutingCandidate,
    ValidatorContext,
)
from orchestrator.state.run import RunState
from orchestrator.testing.simulation.crashing_store import CrashingStore
from orchestrator.testing.simulation.scenario import Scenario
from orchestrator.testing.simulation.simulated_vendor import SimulatedVendor, VendorOfRun

EPOCH: Final = 1_800_000_000 * SECOND
"""The machine's clock when virtual time is 0."""


class PlantedError(Exception):
    """A bug planted into deciding."""


@define
class World:
    """What outlives a process: the store with its locks, the vendor, time."""

    scenario: Scenario
    make_backend: Callable[[], Backend] = Factory(lambda: CheapestFirst)
    """Builds the backend that ranks in every session."""
    make_provider: Callable[[Provider], Provider] | None = None
    """Gives what is called in place of the simulated vendor, in every session."""
    make_store: Callable[[], Store] = SqliteStore.in_memory
    """Makes the empty store that everything is written to."""
    vendor: SimulatedVendor = field(init=False)
    store: CrashingStore = field(init=False)
    now: float = 0.0
    """Virtual seconds."""
    draw: Random = field(init=False)
    raised: Counter[str] = Factory(Counter)
    """How often each run was given what it lacked."""
    files: dict[str, dict[str, str]] = Factory(dict)
    """By run: the content of each file."""

    def provider(self, run: str) -> Provider:
        """What a session of a run calls."""
        vendor = VendorOfRun(self.vendor, run)
        return vendor if self.make_provider is None else self.make_provider(vendor)

    def __attrs_post_init__(self) -> None:
        scenario = self.scenario
        self.draw = Random(f"world/{scenario.seed}")
        self.vendor = SimulatedVendor(
            scenario.seed,
            scenario.models,
            scenario.faults,
            scenario.fault_rate,
            by_model=scenario.by_model,
            tasks=scenario.tasks,
            slowest=scenario.slowest,
            cut_rate=scenario.cut_rate,
            calls_per_minute=scenario.calls_per_minute,
            calls_per_second=scenario.calls_per_second,
            outages=scenario.outages,
            broke=scenario.broke,
            epoch=EPOCH,
        )
        self.store = CrashingStore(self.make_store(), points=list(scenario.crashes))

    def process(self) -> "Process":
        """A new process on this world."""
        return Process(self, EventLog(cast("Store", self.store), offload=in_place, redactor=Redactor()))

    def log(self) -> EventLog:
        """The log, for reading; no crash is in its way."""
        return EventLog(self.store.inner, offload=in_place)

    def history(self, stream: str) -> list[tuple[int, e.Event]]:
        """A stream's history so far: pairs of at and event."""
        return [(record.at, record.event) for record in self.log().read(stream)]

    def texts(self, run: str) -> Texts:
        """The texts of a run, for reading."""
        return Texts(self.log(), run, self.draw.randbytes, Redactor())

    def found_out(self, run: str, state: RunState) -> list[e.SpendReconciled]:
        """What the calls of unknown cost have cost, as the vendor's bills say.

        Where several attempts share a try the bills cannot tell them apart; then the worst case is taken for true.
        """
        found: list[e.SpendReconciled] = []
        tries = Counter(_try_of(event) for _, event in self.history(run) if isinstance(event, e.CallStarted))
        for version, started in state.unreconciled.items():
            if Random(f"reconcile/{self.scenario.seed}/{run}/{version}").random() >= self.scenario.reconciles:
                continue
            bills = [
                bill.billed
                for bill in self.vendor.bills
                if bill.run == run and (bill.call.node, *_of_ref(bill.call)) == _try_of(started)
            ]
            alone = tries[_try_of(started)] == 1
            cost = sum((bill.nano for bill in bills), 0) if alone else started.hold.nano
            found.append(e.SpendReconciled(version, started.hold, Usd(cost)))
        return found

    def release_locks(self) -> None:
        """Give back what a dead process had."""
        self.store.locks.release_all()

    def close(self) -> None:
        """Let go of the store."""
        self.store.inner.close()


def _try_of(started: e.CallStarted) -> tuple[object, ...]:
    return (started.node, started.role, started.iteration, started.sample, started.try_)


def _of_ref(call: CallRef) -> tuple[object, ...]:
    return (call.role, call.iteration, call.sample, call.try_)


@define
class Files:
    """A folder that only pretends, and sometimes is full: drawn by name, so that it is full again after a crash."""

    world: World
    run: str

    def write(self, name: str, content: str) -> int:
        """Keep a file, or fail as a full disk does."""
        scenario = self.world.scenario
        if Random(f"disk/{scenario.seed}/{self.run}/{name}").random() < scenario.files_fail:
            raise OSError(28, "No space left on device")
        self.world.files.setdefault(self.run, {})[name] = content
        return len(content)


@define
class Person:
    """A person who is asked: answer and time are drawn by the question, and are the same in every session."""

    world: World
    run: str

    async def ask(self, offer: Offer) -> QuestionReply:
        """An answer, after minutes."""
        draw = Random(f"person/{self.world.scenario.seed}/{self.run}/{offer.number}")
        await asyncio.sleep(draw.uniform(0.1, 4000))
        if draw.random() < 0.1:
            return QuestionReply(False, AnsweredBy.STOPPED, rest=True)
        return QuestionReply(draw.random() < 0.5)

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """A yes or a no, after minutes; asked again, a person may answer otherwise."""
        draw = Random(f"approval/{self.world.scenario.seed}/{self.run}/{outlook.number}")
        await asyncio.sleep(draw.uniform(0.1, 4000))
        if draw.random() < 0.2:
            return QuestionReply(False, AnsweredBy.STOPPED, rest=True)
        return QuestionReply(draw.random() < 0.7)

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """A yes or a no, after minutes; asked again, a person may answer otherwise."""
        draw = Random(f"point/{self.world.scenario.seed}/{self.run}/{question.asked.number}")
        await asyncio.sleep(draw.uniform(0.1, 4000))
        return QuestionReply(draw.random() < 0.8)


@define
class Process:
    """One process: it may take several runs, and dies as a whole."""

    world: World
    log: EventLog

    def ports(self) -> Ports:
        """The simulated machine."""
        loop = asyncio.get_running_loop()
        return Ports(
            clock=lambda: EPOCH + round(loop.time() * SECOND),
            monotonic=loop.time,
            sleep=asyncio.sleep,
            random_bytes=self.world.draw.randbytes,
            offload=in_place,
            offload_foreign=in_place,
        )

    def session(self, run: str, state: RunState, observers: Sequence[Any] = ()) -> Session:
        """A session of a run."""
        scenario = self.world.scenario
        texts = Texts(self.log, run, self.world.draw.randbytes, self.log.redactor)
        models = scenario.models_of(1 if state.session is None else state.session.number + 1)
        connected = Connected(
            providers={"simulated": self.world.provider(run)},
            models=models,
            slots={slot: model.id for model in models for slot in model.slots},
            backend=self.world.make_backend(),
            plugins=(e.PluginUsed("backend", "cheapest_first", "simulator", "1"),),
            simulated=True,
            validators=("never_empty",),
            catalogue=Catalogue((), {}),
        )
        return Session(
            stream=RunLog(self.log, run, texts, scenario.settings.accounts, simulated=True),
            state=state,
            ports=self.ports(),
            rank=self.rank(),
            resources=Resources(
                connected=connected,
                validator=lambda name: self.validator,
                writer=Files(self.world, run),
                http=None,  # the simulated vendor opens no connection
                verify_cmd="make check" if scenario.settings.verify else None,
                verifier=lambda command, outputs, seconds: self.verified(run),
                asker=Person(self.world, run) if scenario.person else None,
            ),
            observers=observers,
        )

    def rank(self) -> Rank:
        """The guard around the backend, with planted failures."""
        sound, chance, scenario = guard(self.world.make_backend(), run_here), self.world.draw, self.world.scenario
        broken = guard(Forgetful(), run_here)

        def rank(
            candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
        ) -> Sequence[Ranked]:
            if chance.random() < scenario.decide_fails:
                raise PlantedError("a bug")
            return (broken if chance.random() < scenario.backend_fails else sound)(candidates, telemetry, draw)

        return rank

    def verified(self, run: str) -> Verified:
        """What the verification of a run says: by its name alone."""
        scenario = self.world.scenario
        draw = Random(f"verify/{scenario.seed}/{run}")
        if draw.random() < scenario.verify_passes:
            return Verified(Verdict.PASSED, 0, None, "fine", "none")
        return draw.choice(
            [
                Verified(Verdict.FAILED, 2, None, "no", "none"),
                Verified(Verdict.UNKNOWN, problem=VerificationProblem.TIME),
            ]
        )

    def validator(self, candidate: Candidate, context: ValidatorContext) -> Finding:
        """Fails some drafts, cannot judge others, and passes the rest: by the text alone."""
        draw = Random(f"check/{self.world.scenario.seed}/{content_of(candidate.text)}")
        if draw.random() < self.world.scenario.check_faults:
            verdict = draw.choice([Verdict.FAILED, Verdict.UNKNOWN, Verdict.SKIPPED])
            return Finding(verdict, "simulated", permanent=draw.random() < 0.2)
        return Finding.passed()


class CheapestFirst:
    """A backend: by blended price."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Cheapest first; among equals the earlier place."""
        ordered = sorted(candidates, key=lambda candidate: (candidate.price.blended, candidate.place))
        return [Ranked(candidate.model, -float(candidate.price.blended)) for candidate in ordered]


class Forgetful:
    """A backend that loses candidates."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Nothing."""
        return []


def sound_rank() -> Rank:
    """The guarded ranking of every simulated session, without planted failures; what a verification uses."""
    return guard(CheapestFirst(), run_here)

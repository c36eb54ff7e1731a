"""What follows from the texts of a run: readings, prompts, and the files it wrote."""

import os

from attrs import Factory, define

from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.log.transaction import Recorded
from orchestrator.plugins import Catalogue
from orchestrator.state.run import RunState
from orchestrator_audit.answer_rereading import Readings
from orchestrator_audit.beginnings import Beginnings
from orchestrator_audit.checks import AuditReport, Problem
from orchestrator_audit.files import Files, output_folder
from orchestrator_audit.laws.run_laws import Laws
from orchestrator_audit.prompt_rebuilding import Prompts, prompts_of

FOREIGN = "a session was of another program, or under other rules than this one's"
_DELETED = "they were deleted"


@define
class Content:
    """Takes the stored events of a run one by one, each with the state before it."""

    run: str
    readings: Readings
    prompts: Prompts
    beginnings: Beginnings
    files: Files
    problems: dict[str, list[Problem]] = Factory(lambda: {"readings": [], "prompts": [], "settings": []})
    _positions: dict[int, int] = Factory(dict)

    @classmethod
    def of(cls, log: EventLog, run: str, catalogue: Catalogue) -> "Content":
        """The content of a run; only where its log was written here is anything read that the log names."""
        texts = Texts(log, run, os.urandom, log.redactor)
        is_here = not log.is_imported and log.is_on_disk
        prompts = prompts_of(log, run, texts, catalogue, builds=is_here)
        folder = output_folder(log, run, texts) if is_here else None
        return cls(run, Readings(texts), prompts, Beginnings(texts, catalogue), Files(run, folder, texts))

    def take(self, record: Recorded, state: RunState) -> None:
        """Check an event; what a fork shares is its parent's."""
        version, event, own = record.version, record.event, record.stream == self.run
        takers: dict[str, Readings | Prompts | Beginnings] = {
            "readings": self.readings,
            "prompts": self.prompts,
            "settings": self.beginnings,
        }
        for name, taker in takers.items():
            wrong = [Problem(record.position, each, version) for each in taker.take(version, event, state)]
            self.problems[name].extend(wrong if own else ())
        if own:
            self.files.take(version, event)
            self._positions[version] = record.position

    def report(self, laws: Laws, report: AuditReport, *, is_whole: bool) -> None:
        """Tell what was found; where the texts are deleted or a session was of other rules, nothing can be.

        ``is_whole``: whether every event could be folded; if not, what the outputs are is unknown.
        """
        if laws.state.content_deleted:
            report.checks = [each for each in report.checks if (each.subject, each.name) != (self.run, "texts")]
            report.skip(self.run, ["texts", *self.problems, "files"], _DELETED)
            return
        for name, foreign in (("readings", laws.foreign), ("settings", self.beginnings.foreign)):
            if foreign and not self.problems[name]:
                report.skip(self.run, [name], FOREIGN)
            else:
                report.add(self.run, {name: self.problems[name]})
        self._prompts(report)
        if is_whole and not laws.foreign:
            found = self.files.finish(laws.state)
            report.add(self.run, {"files": [Problem(self._positions[at], each, at) for at, each in found]})

    def _prompts(self, report: AuditReport) -> None:
        if self.problems["prompts"]:
            report.add(self.run, {"prompts": self.problems["prompts"]})
        elif self.prompts.foreign:
            report.skip(self.run, ["prompts"], FOREIGN)
        elif self.prompts.bodies is not None and self.prompts.bodies.problems:
            [name, why], *_ = self.prompts.bodies.problems.items()
            report.skip(self.run, ["prompts"], f"the provider {name} cannot encode a request again: {why}")
        else:
            report.add(self.run, {"prompts": []})

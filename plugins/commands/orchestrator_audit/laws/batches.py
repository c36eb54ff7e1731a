"""Laws of batches: which calls may go in one, that each goes in one only, and that none ends before it is submitted."""

from attrs import define

from orchestrator import events as e
from orchestrator.models import Lane, ModelInfo
from orchestrator_audit.laws.shadow_state import ShadowState


@define
class BatchLaws(ShadowState):
    """The calls of the lane ``batch``, and the batches they are in."""

    def wanted_lane(self, node: str) -> Lane:
        """How the calls of a node are to be sent where batches are sold."""
        if node == e.ENHANCE:
            return Lane.INTERACTIVE
        planned = self.planned.get(node)
        own = None if planned is None else planned.lane
        return self.state.settings.lane if own is None else own

    def takes_its_lane(self, event: e.CallStarted) -> None:
        """A call goes in a batch where that is wanted and sold, and nowhere else."""
        model = self.models.get(event.model)
        sold = model is not None and model.batch_price is not None
        wanted = self.wanted_lane(event.node) if sold else Lane.INTERACTIVE
        self.require("intents", event.lane is wanted, f"a call in the lane {event.lane}, and {wanted} is meant")
        if event.lane is Lane.BATCH and model is not None:
            self.batched[self.version] = model

    def batch_started(self, event: e.BatchStarted) -> None:
        """Each of its calls is in flight, of its model, and in no other batch."""
        for version in event.calls:
            call = self.open_effects.get(version)
            fits = isinstance(call, e.CallStarted) and version in self.batched
            same = isinstance(call, e.CallStarted) and (call.provider, call.model) == (event.provider, event.model)
            self.require("intents", fits and same, f"call {version} of a batch is not open, or of another model")
            self.require("intents", version not in self.in_batch, f"call {version} is in two batches")
            self.in_batch[version] = self.version
        once = bool(event.calls) and len(set(event.calls)) == len(event.calls)
        self.require("intents", once, "a batch has no call, or one twice")
        self.open_effects[self.version] = event

    def batch_submitted(self, event: e.BatchSubmitted) -> None:
        """It ends an open submission: with the vendor's id, or with the reason why there is none."""
        opened = self.open_effects.pop(event.batch, None)
        self.require("intents", isinstance(opened, e.BatchStarted), "BatchSubmitted ends no open submission")
        either = (event.vendor_id is None) is not (event.refusal is None)
        self.require("intents", either, "a batch is submitted and refused, or neither")
        self.submitted.add(event.batch)

    def model_of(self, version: int, started: e.CallStarted) -> ModelInfo | None:
        """The model as it was when a call began; one that is not in a batch began in this session."""
        return self.batched.get(version) or self.models.get(started.model)

    def ends_in_its_batch(self, version: int, started: e.CallStarted) -> None:
        """A call in a batch ends after the batch was submitted, with a vendor's answer or without one."""
        if started.lane is not Lane.BATCH:
            return
        ready = self.in_batch.get(version) in self.submitted
        self.require("intents", ready, f"call {version} ends, and its batch is not submitted")

    def leave_batches(self) -> None:
        """A fork waits for none of its parent's."""
        for version in self.in_batch.values():
            self.open_effects.pop(version, None)
        self.batched.clear()
        self.in_batch.clear()

"""The codes of the log in the words of the terminal."""

from collections.abc import Mapping
from typing import Final

from orchestrator.models import (
    InputProblem,
    ReadingProblem,
    RejectionReason,
    Role,
    RunEndReason,
    SelectionReason,
    SkipReason,
    TaskEndReason,
    VerificationProblem,
)

DOING: Final = {
    Role.DECOMPOSER: "planning",
    Role.GENERATOR: "generate",
    Role.CRITIC: "critique",
    Role.REVISER: "revise",
    Role.EVALUATOR: "evaluate",
    Role.ENHANCER: "looking for improvements",
    Role.ADVISOR: "choosing an architecture",
}
"""The name of what a role's call does. The steps of the loop have the same names everywhere."""

REMOVED: Final[Mapping[RejectionReason, str]] = {
    RejectionReason.NO_PRICE: "its price is not known",
    RejectionReason.UNBOUNDED: "nothing bounds its output, and allow_unbounded is off",
    RejectionReason.OFF: "switched off for the session",
    RejectionReason.BREAKER: "its circuit is open",
    RejectionReason.TRIED: "already called for this, without a usable answer",
    RejectionReason.BUDGET: "the most it could cost did not fit the money left",
    RejectionReason.CONTEXT: "prompt and answer do not fit its context window",
    RejectionReason.POLICY: "a policy rules it out",
    RejectionReason.VENDOR: "of the author's vendor, and review.cross_vendor is require",
    RejectionReason.RANKED: "ranked lower",
}
"""What removed a candidate, in words."""

SHORTFALLS: Final[Mapping[TaskEndReason, str]] = {
    TaskEndReason.BELOW_THRESHOLD: "below its threshold",
    TaskEndReason.GATE: "a check did not pass",
    TaskEndReason.UNSCORED: "not scored",
    TaskEndReason.BUDGET: "no money left",
    TaskEndReason.POLICY: "beyond a policy's cap on its cost",
    TaskEndReason.TIME: "no time left",
    TaskEndReason.NO_MODEL: "no model is left",
    TaskEndReason.FAILED: "no answer",
    TaskEndReason.UNREADABLE: "no answer could be used",
    TaskEndReason.DECLINED: "left out by you",
    TaskEndReason.REPLACED: "replaced by other tasks",
    TaskEndReason.CONTEXT: "the prompt fits the context window of no model",
    TaskEndReason.DEPENDENCY: "a dependency failed",
}
"""Why a task is not completed, in words."""

HALTED: Final[Mapping[RunEndReason, str]] = {
    RunEndReason.NO_PLAN: "no plan could be made",
    RunEndReason.NO_MODEL: "no model is left",
    RunEndReason.FALLBACK_PLAN: "no plan could be made; the project was one task",
    RunEndReason.NO_OUTPUT: "no task has an output",
    RunEndReason.CONTEXT: "the prompt fits the context window of no model",
    RunEndReason.BUDGET: "no money left",
    RunEndReason.POLICY: "beyond a policy's cap on its cost",
    RunEndReason.TIME: "no time left",
    RunEndReason.VERIFICATION: "its verification did not pass",
}
"""Why a run is no success, in words."""

LEFT_OUT: Final[Mapping[SkipReason, str]] = {
    SkipReason.NO_MODEL: "no model is left",
    SkipReason.FAILED: "no answer",
    SkipReason.UNREADABLE: "no answer could be used",
    SkipReason.CONTEXT: "the prompt fits the context window of no model",
    SkipReason.BUDGET: "no money left",
    SkipReason.POLICY: "beyond a policy's cap on its cost",
    SkipReason.TIME: "no time left",
    SkipReason.GATE: "the draft did not pass its checks",
    SkipReason.ACCEPTED: "the critique has nothing to object to",
    SkipReason.EQUAL: "the draft is an earlier answer again",
    SkipReason.ALONE: "its tests passed, and no other model could review it",
    SkipReason.STRATEGY: "the strategy has no such step",
    SkipReason.TESTS: "the given tests all passed",
}
"""Why a step is skipped, in words."""

UNVERIFIED: Final[Mapping[VerificationProblem, str]] = {
    VerificationProblem.NO_FOLDER: "there is no output folder; name one with -o",
    VerificationProblem.NO_SANDBOX: "no sandbox works on this machine; see: orchestrate doctor",
    VerificationProblem.NO_COMMAND: "the text of the command is missing",
    VerificationProblem.TOO_LARGE: "the output folder is too large",
    VerificationProblem.UNREADABLE: "the output folder cannot be read",
    VerificationProblem.TIME: "it took too long",
    VerificationProblem.DISK: "it wrote too much",
    VerificationProblem.STOPPED: "another process ended it",
    VerificationProblem.RAISED: "the verification itself failed",
}
"""The codes of why a verification says nothing, in words."""

UNMEASURED: Final = "nothing measured: price decides, beside the usual quality of each tier"
"""How a backend that was named ranks models of which nothing is known."""

UNADVISED: Final[Mapping[InputProblem, str]] = {
    InputProblem.UNREADABLE: "reading the answer failed, or took too long",
    InputProblem.EMPTY: "the answer was empty",
    InputProblem.NO_JSON: "the answer could not be read",
    InputProblem.NO_SUGGESTIONS: "the answer held nothing usable",
    InputProblem.NO_PROFILE: "the answer held nothing usable",
    InputProblem.BUDGET: "no money is left for it",
    InputProblem.POLICY: "it is beyond a policy's cap on its cost",
    InputProblem.TIME: "no time is left for it",
    InputProblem.CONTEXT: "the prompt fits the context window of no model",
    InputProblem.NO_MODEL: "no model can be called",
    InputProblem.FAILED: "no model answered",
}
"""The codes of why the enhancer or the advisor had nothing to say, in words."""

UNREAD: Final[Mapping[ReadingProblem, str]] = {
    ReadingProblem.UNREADABLE: "reading it failed, or took too long",
    ReadingProblem.EMPTY: "it is empty",
    ReadingProblem.NO_SCORE: "it holds no score",
    ReadingProblem.AMBIGUOUS_SCORE: "it holds different scores",
    ReadingProblem.SCORE_OUT_OF_RANGE: "its score is not between 0 and 10",
    ReadingProblem.NO_CHOICE: "it does not say which result is better",
    ReadingProblem.AMBIGUOUS_CHOICE: "it names more than one result as the better one",
}
"""The codes of why a draft, a review or a score is of no use, in words."""

SELECTED: Final[Mapping[SelectionReason, str]] = {
    SelectionReason.FIRST: "first choice",
    SelectionReason.FALLBACK: "the model before it gave no usable answer",
    SelectionReason.BREAKER: "the circuit of the model before it is open",
    SelectionReason.BUDGET: "the model before it could cost more than the money left",
    SelectionReason.CONTEXT: "the prompt did not fit the model before it",
    SelectionReason.REASK: "its answer before could not be used; it is shown why",
    SelectionReason.UNREADABLE: "no answer of the model before it could be used",
    SelectionReason.POLICY: "the model before it did not fit a policy's cap on the task's cost",
}
"""Why a selection was made, in words."""

FALLBACKS: Final[Mapping[SelectionReason, str]] = {
    SelectionReason.FALLBACK: "is the fallback",
    SelectionReason.BREAKER: "is the fallback while the circuit of another model is open",
    SelectionReason.BUDGET: "is the fallback; the model before it could cost more than is left",
    SelectionReason.FIRST: "is called",
    SelectionReason.POLICY: "is the fallback; the model before it could cost more than a policy allows",
    SelectionReason.REASK: "is called again; its answer could not be used",
    SelectionReason.UNREADABLE: "is the fallback; the answers of the model before it could not be used",
    SelectionReason.CONTEXT: "is the fallback; the prompt is too long for the model before it",
}
"""How the model of a call was selected, in words."""

REMOVED_ALL: Final[Mapping[RejectionReason, str]] = {
    RejectionReason.NO_PRICE: "no price is known; declare it with --models",
    RejectionReason.UNBOUNDED: "nothing bounds the output, and allow_unbounded is off",
    RejectionReason.OFF: "switched off for this session",
    RejectionReason.VENDOR: "of the author's vendor, and review.cross_vendor is require",
}
"""What keeps models from being called at all, in words."""

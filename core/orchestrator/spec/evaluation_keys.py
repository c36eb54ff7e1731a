"""The keys of ``evaluation``: how results are scored."""

from typing import Any, Final

from orchestrator.models import JudgeMethod
from orchestrator.settings import Evaluation, OnDisagree, SecondJudge
from orchestrator.spec.container_kinds import FreeMapping, Key, Record
from orchestrator.spec.value_kinds import Choice, Flag, NameOf, Real, Reference, Whole


def _evaluation(**given: Any) -> Evaluation:
    made = Evaluation(**given)
    if made.scorer is None and (made.parameters or made.with_judge):
        raise ValueError("parameters and with_judge belong to a scorer; name one: scorer: NAME")
    if made.scorer is not None and made.judge is JudgeMethod.PAIRS:
        raise ValueError("a scorer gives scores, and judge: pairs compares results; take one of them out")
    return made


EVALUATION: Final = Record(
    Evaluation,
    {
        "runs": Key(Whole(1, 20), "How many evaluations score an output."),
        "max_delta": Key(Real(0, 1), "Scores within this of each other are averaged."),
        "on_disagree": Key(Choice(OnDisagree), "Which score counts otherwise."),
        "second": Key(Choice(SecondJudge), "Which model gives the second evaluation."),
        "tests_decide": Key(Flag(), "Whether given tests that all pass are the score."),
        "judge": Key(
            Choice(JudgeMethod),
            "How results are evaluated that no given tests decide. scores: each gets a score, the first that is good"
            " enough is taken; pairs: all samples are made and compared in pairs, and the best one gets a score.",
        ),
        "scorer": Key(Reference(NameOf.SCORER), "The plugin that gives the score, in place of a judge."),
        "parameters": Key(FreeMapping(), "What the scorer is built with; it knows what they mean."),
        "with_judge": Key(Flag(), "Whether a judge evaluates once, too; its score counts where the scorer gives none."),
    },
    make=_evaluation,
)

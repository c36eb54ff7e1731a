"""What is checked before money is spent: every arm makes a spec, every oracle passes, and no empty answer does."""

from collections.abc import Iterator

from orchestrator.engine.beginning import check_spec
from orchestrator.engine.vendors.connect import Connected, connect
from orchestrator.engine.vendors.environment import Environment
from orchestrator.errors import SpecError, UsageError
from orchestrator.plugins import Catalogue
from orchestrator_eval.graders import Bench
from orchestrator_eval.grading_rules import GraderKind
from orchestrator_eval.plan import EvalPlan, spec_of
from orchestrator_eval.suite import Case, Suite


def check_graders(suite: Suite, bench: Bench) -> None:
    """Grade the oracle and the empty answer of every case.

    A judge is a model: its verdict on an oracle would cost money, so only the other graders are asked.

    Raises:
        SpecError: an oracle does not pass, or an empty answer does; one line for each case.
    """
    problems = [problem for case in suite.cases for problem in _problems(case, suite, bench)]
    if problems:
        raise SpecError(problems)


def _problems(case: Case, suite: Suite, bench: Bench) -> Iterator[str]:
    where = f"{suite.where(case.id)}: case {case.id}"
    sheet = bench.grade(case, case.oracle)
    if sheet.passed is None:
        yield f"{where}: the grader gives no verdict on the oracle: {_short(sheet.details)}"
    elif not sheet.passed:
        yield f"{where}: the oracle does not pass its own grader: {_short(sheet.details)}"
    if all(grader.kind is GraderKind.JUDGE for grader in case.grade):
        return
    empty = bench.grade(case, "")
    if empty.passed is None:
        yield f"{where}: the grader gives no verdict on an empty answer: {_short(empty.details)}"
    elif empty.passed:
        yield f"{where}: an empty answer passes; such a grader would grade nothing"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:299]}…"


def check_arms(plan: EvalPlan, catalogue: Catalogue, environment: Environment) -> Connected:
    """Make the spec of every case in every arm, and connect each arm once.

    Returns:
        What the first arm is connected with.

    Raises:
        SpecError: a spec cannot be used; with the line in the suite.
        UsageError: the arms mix simulated and real providers.
        NoProviderError: an arm has nothing to call.
    """
    connections = []
    for arm in plan.arms:
        for number, case in enumerate(plan.suite.cases):
            spec = spec_of(plan.suite, case, arm, "check")
            if number == 0:
                connections.append(connect(catalogue, spec, environment))
            check_spec(spec, connections[-1], catalogue)
        if arm.model is not None and arm.model not in {model.id for model in connections[-1].models}:
            known = ", ".join(sorted(model.id for model in connections[-1].models))
            raise UsageError(f"model={arm.model}: there is no such model; there are {known}")
    if len({each.simulated for each in connections}) > 1:
        raise UsageError("some arms are simulated and others are not: they have no account in common")
    _check_judges(plan.suite, connections[0])
    return connections[0]


def _check_judges(suite: Suite, connected: Connected) -> None:
    known = {model.id for model in connected.models}
    problems = [
        f"{suite.where(case.id)}: case {case.id}: the judge {grader.rule.model!r} is no model here; "
        f"there are {', '.join(sorted(known))}"
        for case in suite.cases
        for grader in case.grade
        if grader.kind is GraderKind.JUDGE and grader.rule.model not in known
    ]
    if problems:
        raise SpecError(problems)

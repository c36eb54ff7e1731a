"""What is checked before money is spent: every arm makes a spec, every oracle passes, and no empty answer does."""

from collections.abc import Iterator

from orchestrator.cli.kit import bound, notice
from orchestrator.engine.runs import Engine
from orchestrator.engine.spec_checks import check_names, check_spec
from orchestrator.engine.vendors.session_providers import Connected, connect
from orchestrator.errors import SpecError, UsageError
from orchestrator_eval.cell_matrix import EvalPlan, spec_of
from orchestrator_eval.graders import Bench
from orchestrator_eval.grading_rules import GraderKind
from orchestrator_eval.suite_file import Case, Suite


def check_graders(suite: Suite, bench: Bench) -> None:
    """Grade the oracle and the empty answer of every case.

    A judge is a model: its verdict on an oracle would cost money, so only the other graders are asked.

    Raises:
        SpecError: an oracle does not pass, or an empty answer does; one line for each case.
    """
    problems = [problem for case in suite.cases for problem in _problems(case, suite, bench)]
    if problems:
        raise SpecError(problems)
    unproved = [case.id for case in suite.cases if case.oracle is None]
    if unproved:
        more = f" and {len(unproved) - 1} more" if len(unproved) > 1 else ""
        notice(f"! no oracle: whether the graders of {unproved[0]}{more} can be passed is not known")


def _problems(case: Case, suite: Suite, bench: Bench) -> Iterator[str]:
    where = f"{suite.where(case.id)}: case {case.id}"
    if case.oracle is not None:
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


def check_arms(plan: EvalPlan, workspace: Engine) -> Connected:
    """Make the spec of every case in every arm, and connect each arm once.

    Returns:
        What the first arm is connected with.

    Raises:
        SpecError: a spec cannot be used; with the line in the suite.
        NotAllowedError: it wants what its user has not agreed to.
        UsageError: the arms mix simulated and real providers.
        NoProviderError: an arm has nothing to call.
    """
    catalogue, connections = workspace.catalogue, list[Connected]()
    for arm in plan.arms:
        for number, case in enumerate(plan.suite.cases):
            spec = bound(spec_of(plan.suite, case, arm, "check"), workspace.admission, catalogue)
            if number == 0:
                connections.append(connect(catalogue, spec, workspace.environment))
                _check_model(arm.model, connections[-1])
            check_names(spec, catalogue, workspace.environment)
            check_spec(spec, connections[-1], catalogue)
    if len({each.simulated for each in connections}) > 1:
        raise UsageError("some arms are simulated and others are not: they have no account in common")
    _check_judges(plan.suite, connections[0])
    return connections[0]


def _check_model(name: str | None, connected: Connected) -> None:
    known = sorted(model.id for model in connected.models)
    if name is not None and name not in known:
        raise UsageError(f"model={name}: there is no such model; there are {', '.join(known)}")


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

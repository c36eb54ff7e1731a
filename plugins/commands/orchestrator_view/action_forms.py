"""The forms of actions, and what answers them: checked, done as a command, and told on the page that follows."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from attrs import define, evolve
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from orchestrator.cli.kit import Engine, bound, prepare, spec_of_file
from orchestrator.errors import NotAllowedError, OrchestrateError, UsageError
from orchestrator.money import Usd
from orchestrator.reading import events as e
from orchestrator_view.actions import Actions, Done
from orchestrator_view.guard import Access
from orchestrator_view.log_source import Source

_LATEST: Final = 200
"""Runs that one just begun is looked for among."""
_BACK: Final = ("/money", "/money?simulated=1")
"""Pages, beside that of the run, to which a form about a run may lead back."""
_MISSING: Final = "This form is not one of this session's; load the page again."

Form = Mapping[str, list[str]]
Show = Callable[[str, str, dict[str, Any]], HTMLResponse]
"""Shows a page: the template's name, the place in the navigation, the values."""


@define
class Acting:
    """Answers the forms.

    Attributes:
        source: the log.
        access: which forms are this session's.
        actions: runs the commands.
        show: makes a page.
    """

    source: Source
    access: Access
    actions: Actions
    show: Show

    def start(self, request: Request) -> Response:
        """The form for a spec."""
        return self.show("start", "Runs", {"spec": "", "text": "", "found": None, "problem": ""})

    def check(self, form: Form) -> Response:
        """What a spec wants, before anything of it happens."""
        return self._checked(one(form, "spec").strip(), one(form, "text"))

    def _checked(self, path: str, text: str = "", said: Done | None = None) -> Response:
        """The form again, with what is wrong, or with what the spec wants; ``said``: what became of its start."""
        values: dict[str, Any] = {"spec": path, "text": text, "found": None, "problem": "", "said": said}
        if not (path or text.strip()):
            return self.show("start", "Runs", {**values, "problem": "Name a spec file, or paste the text of one."})
        file = self.actions.keep(text) if text.strip() else Path(path).expanduser()
        try:
            values |= {"found": self._wants(file), "spec": str(file)}
        except OrchestrateError as error:
            values["problem"] = str(error).replace(f"{file}:", "line ") if text.strip() else str(error)
        return self.show("start", "Runs", values)

    def _wants(self, path: Path) -> dict[str, Any]:
        """A spec with the list of what it wants beside calling models."""
        spec = spec_of_file(path, (), {}, None)
        workspace = Engine.open(self.source.folder)
        wants: list[str] = []
        missing: tuple[str, ...] = ()
        problem = ""
        try:
            admission = prepare(workspace.admission, (), may_ask=False, show=wants.append)
            bound(spec, admission, workspace.catalogue)
        except NotAllowedError as error:
            missing, problem = error.missing, str(error)
        finally:
            workspace.close()
        facts = {"project": spec.project, "criteria": spec.criteria, "budget": spec.budget_usd, "id": spec.project_id}
        return {**facts, "wants": wants, "missing": missing, "problem": problem}

    def begin(self, form: Form) -> Response:
        """Start a run from a spec with what was agreed to."""
        words = ["run", *_pairs("--allow", form.get("allow", []))]
        words += _pairs("--project-id", form.get("project_id", [])) + _pairs("--budget", form.get("budget", []))
        path = one(form, "spec")
        done = self.actions.begin(words, path)
        if not done.ok:
            return self._checked(path, said=done)
        run = one(form, "project_id") or one(form, "known_id")
        if done.project and self.source.has_log:
            run = next(self._begun(done.project), run)
        return self._shown(done, _address(run) if run else "/")

    def _begun(self, project: str) -> Iterator[str]:
        """The runs of a description's digest, newest first."""
        for record in self.source.log.newest(_LATEST, types=(e.RunStarted,)):
            if isinstance(record.event, e.RunStarted) and record.event.project == project:
                yield record.stream

    def stop(self, run: str, form: Form) -> Done:
        """Ask the process of a run to stop, through its mailbox."""
        return self.actions.do(["runs", "cancel"], run)

    def resume(self, run: str, form: Form) -> Done:
        """Go on with a run, with more money or time where they are given."""
        words = ["resume", *_pairs("--add-budget", form.get("add_budget", []))]
        return self.actions.begin([*words, *_pairs("--add-time", form.get("add_time", []))], run)

    def answer(self, run: str, form: Form) -> Done:
        """Answer what a run asks."""
        word = "yes" if one(form, "answer") == "yes" else "no"
        more = form.get("add_budget", []) if word == "yes" else []
        return self.actions.do(["answer", *_pairs("--add-budget", more)], run, word)

    def plan(self, request: Request) -> Response:
        """The form with the plan of a run, as ``plan edit --show`` prints it."""
        run = request.path_params["run"]
        shown = self.actions.do(["plan", "edit", "--show"], run)
        return self._plan(run, shown.printed if shown.ok else None, "" if shown.ok else shown.said)

    def edit(self, request: Request) -> Response:
        """Give a run another plan; one that is refused is shown again, with why."""
        run, form = request.path_params["run"], self.form(request)
        if form is None:
            return PlainTextResponse(_MISSING, 403)
        text = one(form, "plan")
        done = self.actions.do(["plan", "edit", "--file=-"], run, given=text)
        return self._shown(done, _address(run)) if done.ok else self._plan(run, text, done.said)

    def _plan(self, run: str, text: str | None, problem: str) -> Response:
        return self.show("plan", "Runs", {"run": run, "plan": text, "problem": problem})

    def fork(self, run: str, form: Form) -> Done:
        """Make a run that shares the past of this one."""
        sets = [line.strip() for line in one(form, "set").splitlines() if line.strip()]
        words = ["fork", "--at", one(form, "at") or "v1", *_pairs("--set", sets)]
        done = self.actions.do([*words, *_pairs("--project-id", form.get("project_id", []))], run)
        return evolve(done, run=done.printed.partition(":")[0] if done.ok else "")

    def reconcile(self, run: str, form: Form) -> Done:
        """Enter what a call of unknown cost has cost."""
        try:
            amount = Usd.parse(one(form, "amount"))
        except ValueError as error:
            raise UsageError(str(error)) from None
        return self.actions.do(["costs", "reconcile", "--amount", str(amount)], run, one(form, "call"))

    def about_run(self, work: Callable[[str, Form], Done]) -> Callable[[Request], Response]:
        """What answers a form about a run."""

        def answer(request: Request) -> Response:
            run = request.path_params["run"]
            form = self.form(request)
            if form is None:
                return PlainTextResponse(_MISSING, 403)
            back = one(form, "back")
            done = work(run, form)
            return self._shown(done, back if back in _BACK else _address(done.run or run))

        return answer

    def about_spec(self, work: Callable[[Form], Response]) -> Callable[[Request], Response]:
        """What answers a form about a spec."""

        def answer(request: Request) -> Response:
            form = self.form(request)
            return PlainTextResponse(_MISSING, 403) if form is None else work(form)

        return answer

    def form(self, request: Request) -> Form | None:
        """The fields of a form; None where it is not one of this session's."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(request.state.body.decode(errors="replace")):
            found.setdefault(name, []).append(value)
        return found if self.access.is_form_token(one(found, "form")) else None

    def _shown(self, done: Done, address: str) -> Response:
        """Go on to a page that tells what became of an action."""
        return RedirectResponse(f"{address}{'&' if '?' in address else '?'}said={self.actions.remember(done)}", 303)


def _address(run: str) -> str:
    return f"/runs/{quote(run, safe='')}"


def one(form: Form, name: str) -> str:
    """A field of a form; empty where it has none."""
    return form.get(name, [""])[0]


def _pairs(flag: str, values: list[str]) -> list[str]:
    """A flag for each value that is not empty; a value is never taken for a flag."""
    return [f"{flag}={value.strip()}" for value in values if value.strip()]

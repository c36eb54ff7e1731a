"""Every page, and what answers it."""

import traceback
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from attrs import Factory, define
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orchestrator.cli.kit import STATUSES, notice
from orchestrator.errors import OrchestrateError, UsageError
from orchestrator_view import live
from orchestrator_view.action_forms import Acting
from orchestrator_view.actions import Actions
from orchestrator_view.compare_page import compare_values
from orchestrator_view.evaluations import eval_rows, eval_values
from orchestrator_view.guard import Access, Guard
from orchestrator_view.log_page import LogQuery, log_values, verify_values
from orchestrator_view.log_source import Source
from orchestrator_view.models_page import MEASURED, model_rows
from orchestrator_view.rendering import render, resource
from orchestrator_view.run_page import run_values, texts_now
from orchestrator_view.spending import money_values
from orchestrator_view.task_page import task_values

Values = dict[str, Any]

PAGES: Final = (
    ("Runs", "/"),
    ("Compare", "/compare"),
    ("Evals", "/evals"),
    ("Money", "/money"),
    ("Models", "/models"),
    ("Log", "/log"),
)
_DECISIONS: Final = 100
_MOST_CALLS: Final = 300
_STATIC: Final = {"view.css": "text/css", "view.js": "text/javascript", "icon.svg": "image/svg+xml"}


@define
class Pages:
    """The pages of a data folder; each method answers one address, in a thread.

    Attributes:
        source: the log.
        access: who may use them, and whether they may change anything.
        actions: what was done, to be told.
    """

    source: Source
    access: Access
    actions: Actions
    _known: dict[str, tuple[int, Any]] = Factory(dict)

    def runs(self, request: Request) -> Response:
        """The list of runs."""
        query = request.query_params
        wanted, search, number = query.get("status", ""), query.get("q", "").strip(), _number(query.get("page"))
        position = live.latest(self.source)
        page = self.source.runs.page(wanted, search, number) if self.source.has_log else None

        def other(page: int) -> str:
            return urlencode({name: each for name, each in (("q", search), ("status", wanted), ("page", page)) if each})

        values = {"page": page or {"rows": [], "all": 0, "total": 0}, "statuses": STATUSES, "query": other}
        shown = {**values, "wanted": wanted, "search": search, "number": number}
        said = self.actions.said(query.get("said", ""))
        return self._page("runs", "Runs", {**shown, "said": said}, live=f"/events?after={position}")

    def run(self, request: Request) -> Response:
        """A run."""
        run = request.path_params["run"]
        with self.source.run(run) as reading:
            values = run_values(reading, self.source.log, self.source.folder)
            picture, line = values.pop("graph"), values.pop("timeline")
            shown = {**values, "state_word": values["status"], "graph_of": picture, "timeline_of": line}
            return self._page(
                "run",
                "Runs",
                {**shown, "most_calls": _MOST_CALLS, "said": self.actions.said(request.query_params.get("said", ""))},
                live=f"/runs/{request.path_params['run']}/events?after={reading.position}",
            )

    def task(self, request: Request) -> Response:
        """A task of a run, or a node before the tasks."""
        run, node = request.path_params["run"], request.path_params["task"]
        with self.source.run(run) as reading:
            if node not in reading.state.tasks and node not in reading.state.before_tasks:
                raise UsageError(f"{run} has no task {node!r}")
            values = task_values(reading, node)
            address = f"/runs/{run}/events?after={reading.position}"
            return self._page("task", "Runs", {**values, "show_node": False}, live=address)

    def writing(self, request: Request) -> Response:
        """What models write now, for the page of a run: shown, never recorded."""
        with self.source.run(request.path_params["run"]) as reading:
            return JSONResponse(texts_now(reading, self.source.folder))

    def decisions(self, request: Request) -> Response:
        """Every decision of a run, with every candidate."""
        number = _number(request.query_params.get("page"))
        with self.source.run(request.path_params["run"]) as reading:
            start = (number - 1) * _DECISIONS
            shown, total = reading.decisions(request.query_params.get("task") or None, start, _DECISIONS)
            values = {
                "event_name": reading.event,
                "run": reading.run,
                "decisions": shown,
                "total": total,
                "number": number,
            }
            return self._page("decisions", "Runs", {**values, "more": start + _DECISIONS < total})

    def text(self, request: Request) -> Response:
        """A text of a run, whole, as plain text."""
        with self.source.run(request.path_params["run"]) as reading:
            return PlainTextResponse(reading.text(request.path_params["digest"]) or "")

    def log(self, request: Request) -> Response:
        """The events of a run, or of all."""
        query, run = request.query_params, request.path_params.get("run", "")
        before = query.get("before", "")
        wanted = LogQuery(run, query.get("q", ""), query.get("type", ""), int(before) if before.isdigit() else 0)
        address = "" if wanted.before else f"{f'/runs/{run}' if run else ''}/events?after={live.latest(self.source)}"
        return self._page("log", "Runs" if run else "Log", log_values(self.source, wanted), live=address)

    def verify(self, request: Request) -> Response:
        """The verification of a run, or of the whole log."""
        run = request.path_params.get("run", "")
        return self._page("verify", "Runs" if run else "Log", verify_values(self.source, run))

    def compare(self, request: Request) -> Response:
        """Two runs beside each other."""
        query = request.query_params
        return self._page(
            "compare", "Compare", compare_values(self.source, query.get("one", ""), query.get("other", ""))
        )

    def evals(self, request: Request) -> Response:
        """The list of evaluations."""
        position = live.latest(self.source)
        values = {"rows": eval_rows(self._log())}
        return self._page("evals", "Evals", values, live=f"/events?after={position}")

    def eval(self, request: Request) -> Response:
        """An evaluation: cases and arms."""
        position = live.latest(self.source)
        values = eval_values(self.source.log, request.path_params["name"], request.query_params.get("baseline", ""))
        return self._page("eval", "Evals", values, live=f"/events?after={position}")

    def money(self, request: Request) -> Response:
        """What was spent."""
        simulated = request.query_params.get("simulated", "") not in ("", "0")
        values, position = self._kept(f"money {simulated}", lambda: money_values(self._log(), simulated))
        said = self.actions.said(request.query_params.get("said", ""))
        return self._page("money", "Money", {**values, "said": said}, live=f"/events?after={position}")

    def models(self, request: Request) -> Response:
        """What models cost, and how they did."""
        rows, _ = self._kept("models", lambda: model_rows(self._log(), self.source.folder))
        return self._page("models", "Models", {"rows": rows, "measured": MEASURED})

    def _kept(self, name: str, make: Callable[[], Any]) -> tuple[Any, int]:
        """A value made of the whole log, made again only after something was committed; and the position it is of."""
        position = live.latest(self.source)
        known = self._known.get(name)
        if known is None or known[0] != position:
            known = self._known[name] = (position, make())
        return known[1], position

    def _log(self) -> Any:
        return self.source.log if self.source.has_log else None

    def _page(self, name: str, here: str, values: Values, *, live: str = "", status: int = 200) -> HTMLResponse:
        base = {
            "said": None,
            "pages": PAGES,
            "here": here,
            "live": live,
            "folder": str(self.source.folder),
            "allow_actions": self.access.allow_actions,
            "form_token": self.access.form_token if self.access.allow_actions else "",
        }
        return HTMLResponse(render(f"{name}.html.j2", {**base, **values}), status)

    def show(self, name: str, here: str, values: Values) -> HTMLResponse:
        """A page of the actions."""
        return self._page(name, here, values)

    def problem(self, error: OrchestrateError) -> HTMLResponse:
        """The page in place of one that cannot be shown."""
        missing = isinstance(error, UsageError)
        values = {"heading": "Not found" if missing else "This cannot be shown", "text": str(error)}
        return self._page("problem", "", values, status=404 if missing else 500)

    def defect(self) -> HTMLResponse:
        """The page in place of one that this program could not make."""
        text = "This is a defect of the program; its details are where orchestrate view was started."
        return self._page("problem", "", {"heading": "This cannot be shown", "text": text}, status=500)


def _number(given: str | None) -> int:
    """The number of a page, from 1."""
    return max(1, int(given)) if given is not None and given.isdigit() and len(given) < 8 else 1


def make_app(source: Source, access: Access) -> Starlette:
    """The application."""
    pages = Pages(source, access, Actions(source.folder))

    def answered(page: Callable[[Request], Response]) -> Callable[[Request], Any]:
        def work(request: Request) -> Response:
            with source.here():
                try:
                    return page(request)
                except OrchestrateError as error:
                    return pages.problem(error)
                except Exception:
                    notice(f"! {request.url.path} cannot be shown; this is a defect:\n{traceback.format_exc()}")
                    return pages.defect()

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(work, request)

        return endpoint

    def post(page: Callable[[Request], Response]) -> Callable[[Request], Any]:
        work = answered(page)

        async def endpoint(request: Request) -> Response:
            request.state.body = await request.body()
            answer: Response = await work(request)
            return answer

        return endpoint

    async def events(request: Request) -> Response:
        return live.stream(source, request, request.path_params.get("run"))

    routes = [
        Route("/", answered(pages.runs)),
        Route("/runs", answered(pages.runs)),
        Route("/runs/{run}", answered(pages.run)),
        Route("/runs/{run}/tasks/{task}", answered(pages.task)),
        Route("/runs/{run}/decisions", answered(pages.decisions)),
        Route("/runs/{run}/texts/{digest}", answered(pages.text)),
        Route("/runs/{run}/text", answered(pages.writing)),
        Route("/runs/{run}/log", answered(pages.log)),
        Route("/runs/{run}/verify", answered(pages.verify)),
        Route("/runs/{run}/events", events),
        Route("/compare", answered(pages.compare)),
        Route("/evals", answered(pages.evals)),
        Route("/evals/{name}", answered(pages.eval)),
        Route("/money", answered(pages.money)),
        Route("/models", answered(pages.models)),
        Route("/log", answered(pages.log)),
        Route("/log/verify", answered(pages.verify)),
        Route("/events", events),
        Route("/static/{name}", _static),
    ]
    if access.allow_actions:
        acting = Acting(source, access, pages.actions, pages.show)
        about = {
            "stop": acting.stop,
            "resume": acting.resume,
            "answer": acting.answer,
            "fork": acting.fork,
            "reconcile": acting.reconcile,
        }
        routes += [
            Route("/start", answered(acting.start)),
            Route("/start", post(acting.about_spec(acting.begin)), methods=["POST"]),
            Route("/runs/{run}/plan", answered(acting.plan)),
            Route("/runs/{run}/plan", post(acting.edit), methods=["POST"]),
            Route("/start/check", post(acting.about_spec(acting.check)), methods=["POST"]),
        ]
        for name, work in about.items():
            routes.append(Route(f"/runs/{{run}}/{name}", post(acting.about_run(work)), methods=["POST"]))
    app = Starlette(routes=routes, middleware=[Middleware(Guard, access=access)])
    app.state.actions = pages.actions
    return app


def _static(request: Request) -> Response:
    """Style, script and icon."""
    name = request.path_params["name"]
    if name not in _STATIC:
        return PlainTextResponse("There is no such file.", 404)
    text = files("orchestrator_view").joinpath("static").joinpath(name).read_text(encoding="utf-8")
    if name == "view.css":
        text = resource("parts.css") + text
    return Response(text, media_type=_STATIC[name], headers={"Cache-Control": "no-cache"})

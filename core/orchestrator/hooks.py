"""Hooks: functions of the user that hear of what a run has done, after it is durable, once.

They are notifications, not logic: one that raises or hangs harms nothing, and none is called again on resume. A thread
of their own calls them, one after the other. What an asynchronous one returns is awaited on the run's event loop, for
at most 5 s before the next event's hooks are called: a message that one puts into a channel is there for the next.
"""

import asyncio
import logging
import queue
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from enum import StrEnum
from functools import partial
from inspect import isawaitable
from typing import Any, Final

from orchestrator import events as e
from orchestrator.deadlines import harmless, outcome_of
from orchestrator.deadlines.threads import LeftThread
from orchestrator.errors import present
from orchestrator.models import Model, TaskResult, Verdict

__all__ = ["EventType", "Hook", "HookObserver", "HookRegistry"]

Hook = Callable[..., Any]
"""Called with keyword arguments; one that gives an awaitable is awaited on the run's event loop."""

_LOGGER: Final = logging.getLogger("orchestrator.hooks")
_GRACE: Final = 5.0
"""Seconds the end of a run waits for hooks."""
_PATIENCE: Final = 5.0
"""Seconds for which one event's asynchronous hooks are waited for before the next event's are called."""


class EventType(StrEnum):
    """What can be heard of, and the keyword arguments that come with it."""

    TASK_STARTED = "task_started"
    """``task_id``"""
    TASK_COMPLETED = "task_completed"
    """``task_id``, ``result``: a TaskResult. However the task ended: see ``result.status``."""
    VALIDATION_FAILED = "validation_failed"
    """``task_id``, ``model``: whose output failed; ``validator``."""
    BUDGET_WARNING = "budget_warning"
    """``phase``, ``ratio``: what the phase has spent, as a part of its share; 1.0 is all of it."""
    MODEL_SELECTED = "model_selected"
    """``task_id`` (``plan`` for the plan), ``model``, ``role``, ``reason``."""


class HookRegistry:
    """Callbacks by event type, called in the order they were added."""

    def __init__(self) -> None:
        self._hooks: dict[EventType, list[Hook]] = {kind: [] for kind in EventType}

    def add(self, event_type: EventType, callback: Hook) -> None:
        """Have a function called.

        Raises:
            ValueError: there is no such event type.
            TypeError: it cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"{callback!r} is no function")
        self._hooks[EventType(event_type)].append(callback)

    def __bool__(self) -> bool:
        return any(self._hooks.values())

    def fire(self, event_type: EventType, **arguments: Any) -> list[Awaitable[Any]]:
        """Call every callback; what raises is logged. Returns what the asynchronous ones still have to do."""
        pending: list[Awaitable[Any]] = []
        for hook in tuple(self._hooks[event_type]):
            returned, error = outcome_of(partial(hook, **arguments))
            if error is not None:
                _warn(event_type, error)
            elif isawaitable(returned):
                pending.append(returned)
        return pending


class HookObserver:
    """An observer of one run that calls hooks from a thread of its own, in order, so that none can hold the run up.

    Args:
        registry: the callbacks.
        get: gives the text of a digest.
        history: the run's events so far with their versions; no callback is called for them.
    """

    def __init__(
        self, registry: HookRegistry, get: Callable[[str], str], history: Iterable[tuple[int, e.Event]] = ()
    ) -> None:
        self._registry = registry
        self._get = get
        self._checks: dict[int, e.CheckStarted] = {}
        self._models: dict[int, str] = {}
        self._outputs: dict[str, str] = {}
        self._queue: queue.SimpleQueue[tuple[EventType, Mapping[str, Any]] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[Future[Any]] = []
        self._thread = LeftThread(self._work, "orchestrate-hooks")
        for version, event in history:
            self._remember(version, event)

    def start(self) -> None:
        """Begin to call hooks; from within the run's event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def finish(self, grace: float = _GRACE) -> bool:
        """Wait up to ``grace`` seconds for the hooks that were called; whether all have come back."""
        if self._loop is None:
            return True
        self._queue.put(None)
        if not await self._thread.ended_within(grace):
            _LOGGER.warning("a hook has not come back within %g s; the run ends without it", grace)
            return False
        _, late = await asyncio.to_thread(wait_for, self._pending, grace)
        for future in late:
            future.cancel()
        return not late

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Take in a committed event."""
        self._remember(version, event)
        notice = self._notice(event)
        if notice is not None:
            self._queue.put(notice)

    def _remember(self, version: int, event: e.Event) -> None:
        match event:
            case e.CheckStarted():
                self._checks[version] = event
            case e.CallStarted() | e.ModelSelected():  # an answer has its call's version, a reused one its choice's
                self._models[version] = event.model
            case e.OutputChosen():
                self._outputs[event.task] = event.answer

    def _notice(self, event: e.Event) -> tuple[EventType, Mapping[str, Any]] | None:
        match event:
            case e.TaskStarted():
                return EventType.TASK_STARTED, {"task_id": event.task}
            case e.ModelSelected():
                payload = {"task_id": event.node, "role": event.role, "reason": event.reason}
                return EventType.MODEL_SELECTED, {**payload, "model": Model(event.model)}
            case e.Validated(verdict=Verdict.FAILED, vote=False):
                check = self._checks[event.check]
                payload = {"task_id": check.task, "validator": check.validator}
                return EventType.VALIDATION_FAILED, {**payload, "model": Model(self._models[check.call])}
            case e.BudgetWarned():
                share = float(event.share)
                ratio = float(event.spent) / share if share else event.percent / 100
                return EventType.BUDGET_WARNING, {"phase": event.phase, "ratio": ratio}
            case e.TaskFinished():
                return EventType.TASK_COMPLETED, {"task_id": event.task, "result": self._result(event)}
        return None

    def _result(self, end: e.TaskFinished) -> TaskResult:
        output = self._outputs.get(end.task)
        return TaskResult(
            task_id=end.task,
            output=self._get(output) if output is not None else "",
            score=end.score or 0.0,
            status=end.status,
            model_used=Model(end.model or ""),
            reviewer_model=Model(end.reviewer) if end.reviewer else None,
            iterations=end.iterations,
            cost_usd=float(end.cost),
            deterministic_check_passed=end.gate,
            degraded_fallback_count=end.fallbacks,
            reason=end.reason or "",
        )

    def _work(self) -> None:
        loop = present(self._loop, "loop")
        while (notice := self._queue.get()) is not None:
            kind, arguments = notice
            begun = []
            for awaitable in self._registry.fire(kind, **arguments):
                coroutine = _awaited(kind, awaitable)
                try:
                    begun.append(asyncio.run_coroutine_threadsafe(coroutine, loop))
                except RuntimeError:  # the loop is gone: the run was given up
                    coroutine.close()
            _, late = wait_for(begun, _PATIENCE)  # what they do is done before the next event's hooks are called
            self._pending = [*(each for each in self._pending if not each.done()), *late]


async def _awaited(kind: EventType, awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        _warn(kind, harmless(error))


def _warn(kind: EventType, error: Exception) -> None:
    _LOGGER.warning("a hook for %s failed", kind.value, exc_info=error)

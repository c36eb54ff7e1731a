"""Where the outputs of a run's tasks go in its folder: what each wants, less what another has a better claim to."""

from collections.abc import Callable

from orchestrator.engine.answers.result_block import Delivery, Wanted
from orchestrator.engine.outputs.files_in_answer import delivery, file_name, is_folder, output_files, wanted_name
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState


class Placement:
    """The files of every task of a run, no two of different tasks differing by upper and lower case alone.

    A name belongs to the task that the plan gives it to, else to the first in the execution order whose answer brings
    it. Tasks that are given one and the same name share it, and the later one's output is there in the end. Whatever
    else would be written under a name that is another task's, in any case of letters, goes into its own task's folder.

    It may be kept while the run goes on, and while its plan changes: it looks at the state as it is when it is asked.
    """

    def __init__(self, state: RunState, get: Callable[[str], str]) -> None:
        self._state = state
        self._get = get
        self._plan = -1
        self._paths: dict[str, str] | None = None
        self._owners: dict[str, str] = {}
        self._brought: dict[str, tuple[str, frozenset[str]]] = {}

    def path(self, task: str) -> str | None:
        """Where the plan wants the output of a task; None where it says nothing, or nothing that can be had."""
        return self._wanted().get(task)

    def placed(self) -> frozenset[str] | None:
        """The files of the tasks that have a path and a result; None where no task has a path."""
        tasks = [self._state.tasks[name] for name in self._wanted()]
        return frozenset(name for task in tasks for name in self.files(task)) if tasks else None

    def files(self, task: TaskState) -> dict[str, str]:
        """The files of a task's output by their names, the main one first; empty where it has no output."""
        return {} if task.output is None else self.files_of(task, self._get(task.output.answer))

    def files_of(self, task: TaskState, text: str) -> dict[str, str]:
        """The files of a task's output where its output is this answer."""
        kind, path = task.planned.type, self.path(task.name)
        files = output_files(task.number, kind, text, path, self.wanted(task), is_app=self._is_app)
        if path is None:
            return files
        own = file_name(task.number, kind, "")
        return {
            f"{own}/{name}" if name != path and self._is_anothers(task, name.casefold()) else name: content
            for name, content in files.items()
        }

    def dependencies(self, task: TaskState) -> dict[str, str]:
        """The delivered files of all tasks that a task depends on, transitively, by their names.

        Of two with one name the later in the execution order counts, as in the folder.
        """
        needed, waiting = set[str](), list(task.planned.dependencies)
        while waiting:
            name = waiting.pop()
            if name not in needed and name in self._state.tasks:
                needed.add(name)
                waiting.extend(self._state.tasks[name].planned.dependencies)
        earlier = (self._state.tasks[name] for name in self._state.execution_order if name in needed)
        return {name: content for each in earlier for name, content in self.files(each).items()}

    def deliverer(self, task: TaskState) -> Callable[[str], Delivery]:
        """What an answer to a task is delivered as; a pure function, but for names that other tasks have."""
        number, kind, path, wanted = task.number, task.planned.type, self.path(task.name), self.wanted(task)
        is_app = self._is_app
        return lambda text: delivery(number, kind, text, path, wanted, is_app=is_app)

    def wanted(self, task: TaskState) -> Wanted:
        """What a task is about."""
        planned = task.planned
        return Wanted(self._get(planned.prompt), self._get(planned.tests) if planned.tests else "")

    @property
    def _is_app(self) -> bool:
        return self._state.settings.app is not None

    def _wanted(self) -> dict[str, str]:
        """By task, the path that counts. Known once there is a plan."""
        if self._plan != self._state.plan_version:
            self._plan, self._paths, self._owners, self._brought = self._state.plan_version, None, {}, {}
        if self._paths is not None:
            return self._paths
        paths: dict[str, str] = {}
        spelled: dict[str, str] = {}
        for task in (self._state.tasks[name] for name in self._state.execution_order):
            path = self._get(task.planned.path) if task.planned.path else None
            wanted = None if path is None else wanted_name(path, is_app=self._is_app)
            if path is None or wanted is None:
                continue
            if is_folder(path):
                paths[task.name] = path
            elif spelled.setdefault(wanted.casefold(), wanted) == wanted:
                paths[task.name] = wanted
                self._owners.setdefault(wanted.casefold(), task.name)
        if self._state.planned:
            self._paths = paths
        return paths

    def _is_anothers(self, task: TaskState, name: str) -> bool:
        if self._owners.get(name, task.name) != task.name:
            return True
        earlier = (self._state.tasks[each] for each in self._state.execution_order[: task.order])
        return any(name in self._names(each) for each in earlier)

    def _names(self, task: TaskState) -> frozenset[str]:
        """The names that a task's answer brings, in lower case; none where the plan gives it no path."""
        if task.output is None or (path := self.path(task.name)) is None:
            return frozenset()
        known = self._brought.get(task.name)
        if known is None or known[0] != task.output.answer:
            text, kind = self._get(task.output.answer), task.planned.type
            files = output_files(task.number, kind, text, path, self.wanted(task), is_app=self._is_app)
            known = self._brought[task.name] = task.output.answer, frozenset(name.casefold() for name in files)
        return known[1]

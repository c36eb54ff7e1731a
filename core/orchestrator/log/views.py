"""The views people ask in SQL: the events as tables. Amounts are nano-dollars, times ISO 8601 in UTC.

The views stored in a database may have been replaced. Commands therefore read by ``own``.
"""

from collections.abc import Callable
from typing import Final

from attrs import frozen

from orchestrator.models import PHASE_OF, Lane


@frozen
class Dialect:
    """How one database writes what the views need and databases write differently.

    Attributes:
        text: a field of JSON as text, made of a column and the field's path, such as ``usage.input``.
        whole: the same as a whole number.
        real: the same as a floating-point number.
        length: how many values an array of JSON has.
        each: a join with the values of an array of JSON, made of a column, a path and the join's name; its columns are
            ``value``, which is JSON, and ``key``, which counts.
        word: the text of such a value, made of the join's name, where the values are texts.
        time: microseconds UTC as ISO 8601.
        least: the smaller of two values.
        once: ends a query that is to be run once, not again for each row that is joined with it.
        events: the table, where a name before it hides it.
        mark: stands for a parameter of a query.
    """

    text: Callable[[str, str], str]
    whole: Callable[[str, str], str]
    real: Callable[[str, str], str]
    length: Callable[[str, str], str]
    each: Callable[[str, str, str], str]
    word: Callable[[str], str]
    time: Callable[[str], str]
    least: Callable[[str, str], str]
    once: str
    events: str
    mark: str


def _extract(column: str, path: str) -> str:
    return f"json_extract({column}, '$.{path}')"


def _time(column: str) -> str:
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000, 'unixepoch')"
    return f"{seconds} || printf('.%06dZ', {column} % 1000000)"


SQLITE: Final = Dialect(
    text=_extract,
    whole=_extract,
    real=_extract,
    length=lambda column, path: f"json_array_length({column}, '$.{path}')",
    each=lambda column, path, name: f"json_each({column}, '$.{path}') AS {name}",
    word=lambda name: f"{name}.value",
    time=_time,
    least=lambda one, other: f"min({one}, {other})",
    once="LIMIT -1",  # limits nothing
    events="main.events",
    mark="?",
)

_PHASES: Final = " ".join(f"WHEN '{role.value}' THEN '{phase.value}'" for role, phase in PHASE_OF.items())


def _ends(d: Dialect) -> str:
    return f"""
ends(run_id, call, outcome, settled, unreconciled, input_tokens, output_tokens, latency) AS (
    SELECT stream, CAST({d.whole("data", "call")} AS BIGINT),
        CASE WHEN type = 'call.succeeded' THEN 'answered' ELSE 'failed' END,
        {d.whole("data", "settled")}, {d.whole("data", "unreconciled")},
        {d.whole("data", "usage.input")} + {d.whole("data", "usage.cached_input")}
            + {d.whole("data", "usage.cache_write")},
        {d.whole("data", "usage.output")} + {d.whole("data", "usage.reasoning")},
        {d.whole("data", "latency")}
    FROM events WHERE type IN ('call.succeeded', 'call.failed')
    UNION ALL
    SELECT stream, CAST({d.whole("ended.value", "call")} AS BIGINT), 'lost', 0,
        {d.whole("ended.value", "amount")}, NULL, NULL, NULL
    FROM events, {d.each("events.data", "ended", "ended")} WHERE events.type IN ('session.opened', 'session.lost')
),
reconciled(run_id, call, settled) AS (
    SELECT stream, CAST({d.whole("data", "call")} AS BIGINT), {d.whole("data", "settled")}
    FROM events WHERE type = 'spend.reconciled' {d.once}
)
"""


def _attempts(d: Dialect) -> str:
    parts = (
        d.text("s.data", "node"),
        d.text("s.data", "role"),
        *(f"CAST({d.whole('s.data', name)} AS TEXT)" for name in ("iteration", "sample", "attempt")),
    )
    return f"""
{_ends(d)},
attempts AS (
    SELECT s.stream AS run_id, s.version, s.position, s.at,
        {d.text("s.data", "node")} AS task_id, {d.text("s.data", "role")} AS role,
        {d.text("s.data", "provider")} AS provider, {d.text("s.data", "model")} AS model,
        coalesce({d.text("s.data", "lane")}, '{Lane.INTERACTIVE}') AS lane, {" || '/' || ".join(parts)} AS call_id,
        coalesce(ends.outcome, 'in_flight') AS outcome, ends.input_tokens, ends.output_tokens, ends.latency,
        CASE WHEN ends.outcome IS NULL THEN {d.whole("s.data", "hold")}
            WHEN r.call IS NULL THEN ends.unreconciled ELSE 0 END AS held,
        coalesce(r.settled, ends.settled, 0) AS settled,
        CASE WHEN r.call IS NULL THEN coalesce(ends.unreconciled, 0) ELSE 0 END AS unreconciled
    FROM events AS s LEFT JOIN ends ON ends.run_id = s.stream AND ends.call = s.version
    LEFT JOIN reconciled AS r ON r.run_id = s.stream AND r.call = s.version
    WHERE s.type = 'call.started'
)
"""


def _lineage(d: Dialect) -> str:
    return f"""
forks(stream, parent, upto) AS (
    SELECT stream, {d.text("data", "parent")}, {d.whole("data", "version")} FROM events WHERE type = 'run.forked'
),
lineage(run_id, stream, upto, born) AS (
    SELECT stream, stream, 9223372036854775807, position FROM events WHERE type IN ('run.started', 'run.forked')
    UNION
    SELECT l.run_id, f.parent, {d.least("l.upto", "f.upto")}, l.born
    FROM lineage AS l JOIN forks AS f ON f.stream = l.stream
)
"""


def _calls(d: Dialect) -> str:
    return f"""
WITH {_attempts(d)}
SELECT run_id, call_id, task_id, role, provider, model, outcome, input_tokens, output_tokens, held AS held_nano,
    settled AS settled_nano, {d.time("at")} AS started_at,
    CAST(latency AS DOUBLE PRECISION) / 1000 AS latency_ms, position, lane
FROM attempts ORDER BY position
"""


def _spend(d: Dialect) -> str:
    return f"""
WITH {_attempts(d)}
SELECT run_id, task_id, role, CASE role {_PHASES} END AS phase, provider, model, count(*) AS calls,
    CAST(sum(settled) AS BIGINT) AS settled_nano, CAST(sum(held) AS BIGINT) AS held_nano,
    CAST(sum(unreconciled) AS BIGINT) AS unreconciled_nano, lane
FROM attempts GROUP BY run_id, task_id, role, provider, model, lane ORDER BY min(position)
"""


def _runs(d: Dialect) -> str:
    return f"""
WITH RECURSIVE {_attempts(d).strip()},
{_lineage(d).strip()},
plans AS (
    SELECT l.run_id, {d.length("p.data", "tasks")} AS tasks
    FROM events AS p JOIN lineage AS l ON p.stream = l.stream AND p.version <= l.upto WHERE p.type = 'plan.made'
),
money AS (
    SELECT run_id, CAST(sum(settled) AS BIGINT) AS settled, CAST(sum(held) AS BIGINT) AS held,
        CAST(sum(unreconciled) AS BIGINT) AS unreconciled
    FROM attempts GROUP BY run_id
),
marks AS (
    SELECT stream, count(*) AS events, max(version) AS last,
        max(version) FILTER (WHERE type = 'run.finished') AS finished,
        max(version) FILTER (WHERE type IN ('session.opened', 'budget.raised', 'time.raised')) AS opened,
        max(version) FILTER (WHERE type = 'budget.raised') AS raised
    FROM events GROUP BY stream
),
ended AS (
    SELECT m.stream, {d.text("f.data", "status")} AS status, f.at FROM marks AS m JOIN events AS f
    ON f.stream = m.stream AND f.version = m.finished
    WHERE m.finished > coalesce(m.opened, 0) OR {d.text("f.data", "status")} IN ('SUCCESS', 'PARTIAL_SUCCESS')
)
SELECT r.stream AS run_id, coalesce(ended.status, 'open') AS status,
    {d.text("r.data", "project")} AS project_digest,
    {d.time("r.at")} AS started_at, {d.time("ended.at")} AS finished_at,
    coalesce({d.whole("b.data", "cap")}, {d.whole("r.data", "settings.cap")}) AS cap_nano,
    coalesce(money.settled, 0) AS settled_nano, coalesce(money.held, 0) AS held_nano,
    coalesce(money.unreconciled, 0) AS unreconciled_nano,
    coalesce(plans.tasks, 0) AS tasks, m.events, h.hash AS head
FROM events AS r
JOIN marks AS m ON m.stream = r.stream
JOIN events AS h ON h.stream = m.stream AND h.version = m.last
LEFT JOIN events AS b ON b.stream = m.stream AND b.version = m.raised
LEFT JOIN plans ON plans.run_id = r.stream
LEFT JOIN ended ON ended.stream = r.stream
LEFT JOIN money ON money.run_id = r.stream
WHERE r.type IN ('run.started', 'run.forked') ORDER BY r.position
"""


def _tasks(d: Dialect) -> str:
    return f"""
WITH RECURSIVE {_attempts(d).strip()},
{_lineage(d).strip()},
money AS (
    SELECT run_id, task_id, CAST(sum(settled + unreconciled) AS BIGINT) AS cost FROM attempts GROUP BY run_id, task_id
),
marks(run_id, task_id, version, mark, stream) AS (
    SELECT l.run_id, {d.text("data", "task")}, version,
        CASE WHEN type = 'task.started' THEN 'running' ELSE 'finished' END, l.stream
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto
    WHERE type IN ('task.started', 'task.finished')
    UNION ALL
    SELECT l.run_id, {d.word("again")}, version, 'pending', l.stream
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto
        CROSS JOIN {d.each("events.data", "reopened", "again")}
    WHERE events.type IN ('session.opened', 'budget.raised', 'time.raised', 'run.forked')
),
ranked AS (
    SELECT marks.*, row_number() OVER (PARTITION BY run_id, task_id ORDER BY version DESC) AS place FROM marks
),
latest AS (SELECT run_id, task_id, version, mark, stream FROM ranked WHERE place = 1),
scored AS (
    SELECT l.run_id, {d.text("data", "task")} AS task_id, max({d.whole("data", "iteration")}) AS iterations
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto
    WHERE type = 'iteration.evaluated' GROUP BY 1, 2
)
SELECT l.run_id, {d.text("task.value", "id")} AS task_id, {d.text("task.value", "type")} AS type,
    coalesce({d.text("f.data", "status")}, latest.mark, 'pending') AS status,
    {d.real("f.data", "score")} AS score, {d.text("f.data", "model")} AS model,
    {d.text("f.data", "reviewer")} AS reviewer_model,
    coalesce({d.whole("f.data", "iterations")}, scored.iterations, 0) AS iterations,
    coalesce(money.cost, 0) AS cost_nano
FROM events AS p JOIN lineage AS l ON p.stream = l.stream AND p.version <= l.upto
CROSS JOIN {d.each("p.data", "tasks", "task")}
LEFT JOIN latest ON latest.run_id = l.run_id AND latest.task_id = {d.text("task.value", "id")}
LEFT JOIN events AS f ON f.stream = latest.stream AND f.version = latest.version AND latest.mark = 'finished'
LEFT JOIN scored ON scored.run_id = l.run_id AND scored.task_id = {d.text("task.value", "id")}
LEFT JOIN money ON money.run_id = l.run_id AND money.task_id = {d.text("task.value", "id")}
WHERE p.type = 'plan.made' ORDER BY l.born, p.position, task.key
"""


def _decisions(d: Dialect) -> str:
    return f"""
SELECT stream AS run_id, position, {d.text("data", "node")} AS task_id, {d.text("data", "role")} AS role,
    {d.text("data", "model")} AS chosen,
    {d.text("data", "candidates")} AS candidates
FROM events WHERE type = 'model.selected' ORDER BY position
"""


def _checks(d: Dialect) -> str:
    return f"""
SELECT v.stream AS run_id, {d.text("s.data", "task")} AS task_id, {d.whole("s.data", "iteration")} AS iteration,
    {d.text("s.data", "validator")} AS validator,
    {d.text("v.data", "verdict")} AS verdict, v.position
FROM events AS v JOIN events AS s ON s.stream = v.stream AND s.version = {d.whole("v.data", "check")}
WHERE v.type = 'check.validated' ORDER BY v.position
"""


def definitions(dialect: Dialect) -> dict[str, str]:
    """The query of each view by its name, as one database writes it."""
    parts = {
        "calls": _calls,
        "spend": _spend,
        "runs": _runs,
        "tasks": _tasks,
        "decisions": _decisions,
        "checks": _checks,
    }
    return {name: part(dialect).strip() for name, part in parts.items()}


VIEWS: Final = definitions(SQLITE)
"""The views, by name."""


def own(name: str, streams: int = 0, dialect: Dialect = SQLITE) -> str:
    """A ``WITH`` clause that defines a view by this program's query, for a query that begins with ``SELECT``.

    The name in the clause goes before a stored view of the same name.

    Args:
        name: of the view.
        streams: how many streams the view is to be made of, whose names are the query's first parameters; 0: of all.
        dialect: of the database.
    """
    only = ""
    if streams:
        marks = ", ".join([f"({dialect.mark})"] * streams)  # a planner takes plain values for few rows: it scans
        only = f"events AS (SELECT * FROM {dialect.events} WHERE stream IN (VALUES {marks})), "
    return f"WITH {only}{name} AS ({definitions(dialect)[name]})"

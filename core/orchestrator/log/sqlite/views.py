"""The views people ask in SQL: the events as tables. Amounts are nano-dollars, times ISO 8601 in UTC.

The views stored in a database may have been replaced. Commands therefore read by ``own``.
"""

from typing import Final

from orchestrator.models import PHASE_OF

_TIME: Final = "strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000, 'unixepoch') || printf('.%06dZ', {0} % 1000000)"


def _time(column: str) -> str:
    return _TIME.format(column)


# "LIMIT -1" limits nothing: it has SQLite make that table once, in place of reading all events again for each call.
_ENDS: Final = """
ends(run_id, call, outcome, settled, unreconciled, input_tokens, output_tokens, latency) AS (
    SELECT stream, CAST(json_extract(data, '$.call') AS INTEGER), iif(type = 'call.succeeded', 'answered', 'failed'),
        json_extract(data, '$.settled'), json_extract(data, '$.unreconciled'),
        json_extract(data, '$.usage.input') + json_extract(data, '$.usage.cached_input')
            + json_extract(data, '$.usage.cache_write'),
        json_extract(data, '$.usage.output') + json_extract(data, '$.usage.reasoning'),
        json_extract(data, '$.latency')
    FROM events WHERE type IN ('call.succeeded', 'call.failed')
    UNION ALL
    SELECT stream, CAST(json_extract(ended.value, '$.call') AS INTEGER), 'lost', 0,
        json_extract(ended.value, '$.amount'), NULL, NULL, NULL
    FROM events, json_each(events.data, '$.ended') AS ended WHERE events.type IN ('session.opened', 'session.lost')
),
reconciled(run_id, call, settled) AS (
    SELECT stream, CAST(json_extract(data, '$.call') AS INTEGER), json_extract(data, '$.settled')
    FROM events WHERE type = 'spend.reconciled' LIMIT -1
)
"""

_ATTEMPTS: Final = f"""
{_ENDS},
attempts AS (
    SELECT s.stream AS run_id, s.version, s.position, s.at,
        json_extract(s.data, '$.node') AS task_id, json_extract(s.data, '$.role') AS role,
        json_extract(s.data, '$.provider') AS provider, json_extract(s.data, '$.model') AS model,
        printf('%s/%s/%d/%d/%d', json_extract(s.data, '$.node'), json_extract(s.data, '$.role'),
            json_extract(s.data, '$.iteration'), json_extract(s.data, '$.sample'),
            json_extract(s.data, '$.attempt')) AS call_id,
        coalesce(ends.outcome, 'in_flight') AS outcome, ends.input_tokens, ends.output_tokens, ends.latency,
        iif(ends.outcome IS NULL, json_extract(s.data, '$.hold'), iif(r.call IS NULL, ends.unreconciled, 0)) AS held,
        coalesce(r.settled, ends.settled, 0) AS settled,
        iif(r.call IS NULL, coalesce(ends.unreconciled, 0), 0) AS unreconciled
    FROM events AS s LEFT JOIN ends ON ends.run_id = s.stream AND ends.call = s.version
    LEFT JOIN reconciled AS r ON r.run_id = s.stream AND r.call = s.version
    WHERE s.type = 'call.started'
)
"""

_LINEAGE: Final = """
forks(stream, parent, upto) AS (
    SELECT stream, json_extract(data, '$.parent'), json_extract(data, '$.version') FROM events WHERE type = 'run.forked'
),
lineage(run_id, stream, upto, born) AS (
    SELECT stream, stream, 9223372036854775807, position FROM events WHERE type IN ('run.started', 'run.forked')
    UNION ALL
    SELECT l.run_id, f.parent, min(l.upto, f.upto), l.born FROM lineage AS l JOIN forks AS f ON f.stream = l.stream
)
"""

_PHASES: Final = " ".join(f"WHEN '{role.value}' THEN '{phase.value}'" for role, phase in PHASE_OF.items())

VIEWS: Final = {
    "calls": f"""
WITH {_ATTEMPTS}
SELECT run_id, call_id, task_id, role, provider, model, outcome, input_tokens, output_tokens, held AS held_nano,
    settled AS settled_nano, {_time("at")} AS started_at, latency / 1000.0 AS latency_ms, position
FROM attempts ORDER BY position
""",
    "spend": f"""
WITH {_ATTEMPTS}
SELECT run_id, task_id, role, CASE role {_PHASES} END AS phase, provider, model, count(*) AS calls,
    sum(settled) AS settled_nano, sum(held) AS held_nano, sum(unreconciled) AS unreconciled_nano
FROM attempts GROUP BY run_id, task_id, role, provider, model ORDER BY min(position)
""",
    "runs": f"""
WITH RECURSIVE {_ATTEMPTS.strip()},
{_LINEAGE.strip()},
plans AS (
    SELECT l.run_id, json_array_length(p.data, '$.tasks') AS tasks
    FROM events AS p JOIN lineage AS l ON p.stream = l.stream AND p.version <= l.upto WHERE p.type = 'plan.made'
),
money AS (
    SELECT run_id, sum(settled) AS settled, sum(held) AS held, sum(unreconciled) AS unreconciled
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
    SELECT m.stream, json_extract(f.data, '$.status') AS status, f.at FROM marks AS m JOIN events AS f
    ON f.stream = m.stream AND f.version = m.finished
    WHERE m.finished > coalesce(m.opened, 0) OR json_extract(f.data, '$.status') IN ('SUCCESS', 'PARTIAL_SUCCESS')
)
SELECT r.stream AS run_id, coalesce(ended.status, 'open') AS status,
    json_extract(r.data, '$.project') AS project_digest,
    {_time("r.at")} AS started_at, {_time("ended.at")} AS finished_at,
    coalesce(json_extract(b.data, '$.cap'), json_extract(r.data, '$.settings.cap')) AS cap_nano,
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
""",
    "tasks": f"""
WITH RECURSIVE {_ATTEMPTS.strip()},
{_LINEAGE.strip()},
money AS (
    SELECT run_id, task_id, sum(settled + unreconciled) AS cost FROM attempts GROUP BY run_id, task_id
),
marks(run_id, task_id, version, mark, stream) AS (
    SELECT l.run_id, json_extract(data, '$.task'), version, iif(type = 'task.started', 'running', 'finished'), l.stream
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto
    WHERE type IN ('task.started', 'task.finished')
    UNION ALL
    SELECT l.run_id, again.value, version, 'pending', l.stream
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto,
        json_each(events.data, '$.reopened') AS again
    WHERE events.type IN ('session.opened', 'budget.raised', 'time.raised', 'run.forked')
),
latest AS (SELECT run_id, task_id, max(version) AS version, mark, stream FROM marks GROUP BY run_id, task_id),
scored AS (
    SELECT l.run_id, json_extract(data, '$.task') AS task_id, max(json_extract(data, '$.iteration')) AS iterations
    FROM events JOIN lineage AS l ON events.stream = l.stream AND version <= l.upto
    WHERE type = 'iteration.evaluated' GROUP BY 1, 2
)
SELECT l.run_id, json_extract(task.value, '$.id') AS task_id, json_extract(task.value, '$.type') AS type,
    coalesce(json_extract(f.data, '$.status'), latest.mark, 'pending') AS status,
    json_extract(f.data, '$.score') AS score, json_extract(f.data, '$.model') AS model,
    json_extract(f.data, '$.reviewer') AS reviewer_model,
    coalesce(json_extract(f.data, '$.iterations'), scored.iterations, 0) AS iterations,
    coalesce(money.cost, 0) AS cost_nano
FROM events AS p JOIN lineage AS l ON p.stream = l.stream AND p.version <= l.upto
JOIN json_each(p.data, '$.tasks') AS task
LEFT JOIN latest ON latest.run_id = l.run_id AND latest.task_id = json_extract(task.value, '$.id')
LEFT JOIN events AS f ON f.stream = latest.stream AND f.version = latest.version AND latest.mark = 'finished'
LEFT JOIN scored ON scored.run_id = l.run_id AND scored.task_id = json_extract(task.value, '$.id')
LEFT JOIN money ON money.run_id = l.run_id AND money.task_id = json_extract(task.value, '$.id')
WHERE p.type = 'plan.made' ORDER BY l.born, p.position, task.key
""",
    "decisions": """
SELECT stream AS run_id, position, json_extract(data, '$.node') AS task_id, json_extract(data, '$.role') AS role,
    json_extract(data, '$.model') AS chosen,
    json_extract(data, '$.candidates') AS candidates
FROM events WHERE type = 'model.selected' ORDER BY position
""",
    "checks": """
SELECT v.stream AS run_id, json_extract(s.data, '$.task') AS task_id, json_extract(s.data, '$.iteration') AS iteration,
    json_extract(s.data, '$.validator') AS validator,
    json_extract(v.data, '$.verdict') AS verdict, v.position
FROM events AS v JOIN events AS s ON s.stream = v.stream AND s.version = json_extract(v.data, '$.check')
WHERE v.type = 'check.validated' ORDER BY v.position
""",
}
"""The views, by name."""


def own(name: str, streams: int = 0) -> str:
    """A ``WITH`` clause that defines a view by this program's query, for a query that begins with ``SELECT``.

    The name in the clause goes before a stored view of the same name.

    Args:
        name: of the view.
        streams: how many streams the view is to be made of, whose names are the query's first parameters; 0: of all.
    """
    only = ""
    if streams:
        only = f"events AS (SELECT * FROM main.events WHERE stream IN ({', '.join('?' * streams)})), "
    return f"WITH {only}{name} AS ({VIEWS[name].strip()})"

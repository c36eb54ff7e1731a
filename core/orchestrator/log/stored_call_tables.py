"""The tables of stored calls, as every store of SQL has them: rows of the views ``calls`` and ``runs``.

They are disposable; ``ledger.stored_calls`` says what is stored in them, and when a row counts.
"""

from typing import Final

_TEXT, _WHOLE, _REAL = "TEXT", "BIGINT", "DOUBLE PRECISION"
CALLS: Final = {
    "run_id": _TEXT,
    "call_id": _TEXT,
    "task_id": _TEXT,
    "role": _TEXT,
    "provider": _TEXT,
    "model": _TEXT,
    "outcome": _TEXT,
    "input_tokens": _WHOLE,
    "output_tokens": _WHOLE,
    "held_nano": _WHOLE,
    "settled_nano": _WHOLE,
    "started_at": _TEXT,
    "latency_ms": _REAL,
    "position": _WHOLE,
    "lane": _TEXT,
}
"""The columns of the view ``calls``."""
RUN: Final = {
    "run_id": _TEXT,
    "status": _TEXT,
    "project_digest": _TEXT,
    "started_at": _TEXT,
    "finished_at": _TEXT,
    "cap_nano": _WHOLE,
    "settled_nano": _WHOLE,
    "held_nano": _WHOLE,
    "unreconciled_nano": _WHOLE,
    "tasks": _WHOLE,
    "events": _WHOLE,
    "head": _TEXT,
}
"""The columns of the view ``runs``."""
TABLES: Final = {
    "stored_runs": {**RUN, "version": _WHOLE, "calls": _TEXT, "digest": _TEXT},
    "stored_calls": CALLS,
}
"""The columns of the tables, and their types as every database has them. ``calls`` is a digest of the run's calls."""
INDEX: Final = "stored_calls_run"
CREATE: Final = {
    name: f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})"
    for name, columns in TABLES.items()
} | {INDEX: f"CREATE INDEX {INDEX} ON stored_calls(run_id)"}
"""The statement that makes each table, and the index."""
READ_RUNS: Final = f"""
SELECT {", ".join(f"r.{column}" for column in TABLES["stored_runs"])}, e.hash FROM stored_runs AS r
LEFT JOIN events AS e ON e.stream = r.run_id AND e.version = r.version
"""
READ_CALLS: Final = f"SELECT {', '.join(CALLS)} FROM stored_calls"
DELETE: Final = tuple(f"DELETE FROM {name} WHERE run_id = " for name in TABLES)


def insert(name: str, mark: str) -> str:
    """The statement that adds a row to a table; ``mark`` stands for a value."""
    return f"INSERT INTO {name}({', '.join(TABLES[name])}) VALUES ({', '.join([mark] * len(TABLES[name]))})"

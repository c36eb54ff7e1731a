"""Write the JSON Schemas of what commands print with ``--json``, and their list in ``json.md``.

Run: ``python docs/json_formats.py``. The schemas are shipped as ``orchestrator/cli/schemas/FORMAT.json``.

A shape is written short: a word of ``_WORDS`` (with ``?``: or null), a list of one shape, a ``Map`` of texts to a
shape, or fields by name (a name with ``?`` may be missing).
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from attrs import frozen

DOCS: Final = Path(__file__).parent
SCHEMAS: Final = DOCS.parent / "core" / "orchestrator" / "cli" / "schemas"
VERSION: Final = 1


@frozen
class Map:
    """An object whose names are data."""

    of: Any


@frozen
class Null:
    """A shape, or null."""

    of: Any


@frozen
class OneOf:
    """One of several shapes, told apart by their ``kind``."""

    shapes: tuple[dict[str, Any], ...]


_WORDS: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "bool": {"type": "boolean"},
    "usd": {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{9}$", "description": "US dollars, exact."},
    "time": {"type": "string", "format": "date-time", "description": "UTC."},
    "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "any": {},
}

_ABOUT: Final = {
    "run_id": "The id of the run.",
    "run": "The id of the run.",
    "position": "The event's number in the whole log.",
    "version": "The event's number in the run, written v24.",
    "call": "Which call: task, role, iteration, sample and attempt.",
    "task": "The id of the task, or plan, enhance, advise, verify.",
    "role": "What the call is for, such as generator or critic.",
    "iteration": "The iteration of the task, from 1.",
    "sample": "The number of the evaluation in its iteration, from 1.",
    "attempt": "Which attempt at the call, from 1.",
    "head": "The hash of the run's last event.",
    "cap_usd": "The most that may be settled and held.",
    "settled_usd": "What calls cost, known.",
    "held_usd": "In flight and unreconciled.",
    "spent_usd": "Settled and unreconciled.",
    "unreconciled_usd": "Held for calls whose cost is unknown.",
    "in_flight_usd": "Held for calls that have not ended, and as advances.",
    "free_usd": "What is left below the cap.",
    "advance_usd": "What a run takes of the account at once; 0: each call takes its own hold.",
    "need_usd": "The most the call may cost.",
    "excess_usd": "What vendors billed beyond holds.",
    "hold_usd": "The most the attempt could cost.",
    "rejection": "The reason why it was not chosen, as a code.",
    "why": "The same for people.",
    "damaged": "What of the log cannot be read; only there where something cannot.",
    "problem": "What is wrong; null or empty where nothing is.",
    "slots": "The names of routing tables that it fills.",
    "waiver": "Why the reviewer is of the author's own vendor, tier or model.",
    "score": "0 to 1.",
    "status": "How it stands.",
    "title": "One line, for people.",
    "reason": "Why it ended so, as a code.",
    "text_bytes": "Of the texts, as stored.",
}

_DAMAGED: Final = {
    "damaged?": [{"run_id": "text", "position": "int", "version": "int?", "message": "text", "shown": "text"}]
}
_AT: Final = {"position": "int?", "version": "int"}
_EVENT: Final = {**_AT, "at": "time"}
_CALL: Final = {"task": "text", "role": "text", "iteration": "int", "sample": "int"}
_TELEMETRY: Final = {
    "calls": "int",
    "quality": "num?",
    "trust": "num",
    "cost": "num?",
    "latency_ms": "num?",
    "latency_p95_ms": "num?",
    "success_rate": "num?",
}
_SENT: Final = {
    "version": "int",
    "attempt": "int",
    "max_tokens": "int",
    "lane": "text",
    "end": "text",
    "answer": "text?",
    "finish": "text?",
    "problem": "text?",
    "usage": Null({"input": "int", "output": "int"}),
    "settled_usd": "usd",
    "unreconciled_usd": "usd",
    "error": "text?",
    "error_text": "text?",
    "latency_ms": "num?",
}
_EXCHANGE: Final = {
    "version": "int",
    **_CALL,
    "model": "text",
    "request": Null(
        {
            "messages": [{"role": "text", "content": "text"}],
            "temperature": "num?",
            "json_schema": "any",
            "seed": "int?",
        }
    ),
    "missing": "text?",
    "calls": [_SENT],
    "reused": Null({"run": "text", "version": "int", "answer": "text?"}),
    "plan_refused": "text?",
}
_CHOICE: Final = {
    "kind": "=choice",
    **_EVENT,
    **_CALL,
    "type": "text?",
    "selection": "int",
    "reason": "text",
    "policy": "text?",
    "model": "text",
    "waiver": "text?",
    "author": "text?",
    "backend": Null({"name": "text", "distribution": "text", "version": "text", "parameters": Map("any")}),
    "candidates": [
        {
            "model": "text",
            "vendor": "text",
            "slots": ["text"],
            "price_usd_per_million": Null({"input": "usd", "output": "usd"}),
            "telemetry": _TELEMETRY,
            "score": "num?",
            "rejection": "text?",
            "policy": "text?",
            "backend_reason": "text?",
            "violates": ["text"],
            "why": "text",
        }
    ],
    "attempts": [
        {
            "position": "int?",
            "version": "int",
            "attempt": "int",
            "max_tokens": "int",
            "cut_off": "any",
            "larger": "any",
            "lane": "text",
            "batch": "int?",
            "violates": ["text"],
            "body_bytes": "int",
            "hold_usd": "usd",
            "end": "text",
            "cost_usd": "usd",
            "input_tokens": "int?",
            "output_tokens": "int?",
            "error": "text?",
            "latency_ms": "num?",
        }
    ],
    "too_long": Null({"prompt_tokens": "int", "context": "int"}),
    "reused": Null({"run": "text", "version": "int"}),
    "exchange?": _EXCHANGE,
}
_EXPLAINED: Final = OneOf(
    (
        _CHOICE,
        {"kind": "=backend_failed", **_EVENT, "backend": "text", "problem": "text"},
        {
            "kind": "=plan",
            **_EVENT,
            "remarks": ["text"],
            "repairs": [{"code": "text", "task": "text?", "detail": "text?"}],
        },
        {
            "kind": "=comparison",
            **_EVENT,
            "task": "text",
            "candidates": ["any"],
            "pairs": [{"earlier": "any", "later": "any", "verdicts": ["any"], "winner": "any"}],
            "iteration": "int?",
            "stopped": "any",
        },
        {
            "kind": "=score",
            **_EVENT,
            "task": "text",
            "scorer": "text",
            "score": "num?",
            "problem": "text?",
        },
        {
            "kind": "=verification",
            **_EVENT,
            "verdict": "text",
            "exit_code": "int?",
            "problem": "text?",
            "sandbox": "text?",
        },
        {
            "kind": "=no_candidate",
            **_EVENT,
            "task": "text",
            "role": "text",
            "candidates": [{"model": "text", "rejection": "text?", "policy": "text?", "why": "text"}],
        },
        {
            "kind": "=refusal",
            **_EVENT,
            **_CALL,
            "need_usd": "usd",
            "free_usd": "usd",
            "limit": "text",
            "name": "text?",
            "final": "bool",
        },
    )
)
_RUN: Final = {
    "run_id": "text",
    "status": "text",
    "simulated": "bool",
    "head": "hash",
    "cap_usd": "usd",
    "settled_usd": "usd",
    "held_usd": "usd",
    "spent_usd": "usd",
    "active_seconds": "num",
    "execution_order": ["text"],
    "input_stage_cost_usd": "usd",
    "plan_cost_usd": "usd",
    "reason": "text?",
    "verification": Null(
        {
            "verdict": "text",
            "exit_code": "int?",
            "problem": "text?",
            "sandbox": "text?",
            "seconds": "num",
            "command": "text?",
            "output": "text",
        }
    ),
    "tasks": [
        {
            "id": "text",
            "type": "text",
            "title": "text?",
            "status": "text",
            "reason": "text?",
            "score": "num?",
            "gate_passed": "bool",
            "iterations": "int",
            "model": "text?",
            "reviewer_model": "text?",
            "fallbacks": "int",
            "cost_usd": "usd",
            "file": "text?",
            "files": ["text"],
            "blocks_left_out": "int",
            "files_renamed": "int",
            "shadowing": ["text"],
            "output": "text?",
        }
    ],
    "archived?": {
        "at": "time",
        "path": "text?",
        "bundle_sha256": "hash",
        "signed_by": "hash",
        "status": "text",
        "version": "int",
        "head": "hash",
        "tasks": "int",
    },
    **_DAMAGED,
}
_SPENT: Final = {"calls": "int", "settled_usd": "usd", "held_usd": "usd", "unreconciled_usd": "usd", "total_usd": "usd"}
_ACCOUNT: Final = {
    "account": "text",
    "cap_usd": "usd",
    "settled_usd": "usd",
    "in_flight_usd": "usd",
    "unreconciled_usd": "usd",
    "excess_usd": "usd",
    "free_usd": "usd",
    "advance_usd": "usd",
}
_LIMITS: Final = {
    "provider": "text",
    "account": "text?",
    "requests_per_minute": "num?",
    "tokens_per_minute": "num?",
    "burst_seconds": "num",
    "next_in_seconds": "num",
}
_PRICE: Final = dict.fromkeys(("input", "output", "cached_input", "cache_write", "reasoning"), "usd")
_MODEL: Final = {
    "id": "text",
    "provider": "text",
    "vendor": "text",
    "available": "bool",
    "slots": ["text"],
    "aliases": ["text"],
    "replaces": ["text"],
    "sent_name": "text",
    "tier": "text?",
    "context": "int?",
    "max_output": "int?",
    "max_input": "int?",
    "hidden_tokens": "any",
    "thinking_in_limit": "bool",
    "abilities": ["text"],
    "regions": ["text"],
    "trains_on_data": "bool?",
    "price_usd": Null(
        {**_PRICE, "rates": [{**_PRICE, "over?": "int", "since?": "text", "hours?": "text", "days?": "text"}]}
    ),
    "price_date": "text?",
    "retires": "text?",
    "source": "text",
}
_PLUGIN: Final = {
    "kind": "text",
    "name": "text",
    "distribution": "text",
    "version": "text",
    "module": "text",
    "status": "text",
    "reason": "text",
    "interface": "text",
    "compatible": "bool",
    "hooks": ["text"],
    "notes": ["text"],
}
_ROUTE: Final = {
    "role": "text",
    "times": "int",
    "compares": "any",
    "max_tokens": "int?",
    "backend": "text?",
    "model": "text?",
    "options": [
        {
            "model": "text",
            "vendor": "text",
            "hold_usd": "usd?",
            "score": "num?",
            "rejection": "text?",
            "policy": "text?",
            "why": "text?",
            "waiver": "text?",
            "max_tokens": "int?",
        }
    ],
}
_PLANNED: Final = {
    "task": "text",
    "type": "text",
    "level": "int",
    "dependencies": ["text"],
    "iteration_hold_usd": "usd?",
    "routes": [_ROUTE],
}
_DIFFERENCES: Final = [{**_AT, "what": "text"}]
_SIDE: Final = {
    "status": "text?",
    "spend_usd": "usd",
    "exact_usd": "usd",
    "calls": "int",
    "refused": [{**_CALL, "need_usd": "usd", "free_usd": "usd"}],
}
_CHECKED_RUN: Final = {"position": "int?", "version": "int?", "run": "text?", "check": "text"}

_AUDITED: Final = {
    "ok": "bool",
    "first_bad_event": Null({"position": "int?", "version": "int?"}),
    "findings": [{**_CHECKED_RUN, "message": "text"}],
    "checks": [
        {"run": "text?", "check": "text", "what": "text", "result": "text", "problems": "int", "reason": "text?"}
    ],
    "heads": Map("hash"),
}

_ARCHIVED: Final = {
    "dry_run": "bool",
    "archived": [{"run_id": "text", "path": "text", "events": "int", "bytes": "int", "sha256": "text", "head": "text"}],
    "left": Map("text"),
}

_FLEET: Final = {
    "executor": "text",
    "address": "text?",
    "wanted": "int",
    "jobs": "int",
    "workers": [{"worker": "text", "alive": "bool", "place": "text"}],
}

FORMATS: Final[dict[str, Any]] = {
    "answer": {
        "run_id": "text",
        "question": "text",
        "point": "text",
        "version": "int",
        "task": "text?",
        "amount_usd": "usd?",
        "live": "bool",
        "accepted?": "bool",
        "taken?": "bool",
    },
    "audit-archive": _ARCHIVED,
    "audit-export": {
        "run_id": "text",
        "path": "text",
        "events": "int",
        "texts": "int",
        "head": "hash",
        "bytes": "int",
        "signed_by": "text?",
    },
    "audit-anchor": {"run_id": "text", "version": "int", "head": "hash", "path": "text"},
    "audit-import": {**_AUDITED, "path": "text?"},
    "audit-verify": _AUDITED,
    "budget-raise": _ACCOUNT,
    "budget-set": _ACCOUNT,
    "budget-show": [_ACCOUNT],
    "cache-clear": {"forgotten": "int"},
    "cache-stats": [
        {
            "set": "text",
            "answers": "int",
            "runs": "int",
            "bytes": "int",
            "oldest": "time?",
            "newest": "time?",
            "hits": "int",
            "saved_usd": "usd",
        }
    ],
    "config-show": {
        "file": "text",
        "exists": "bool",
        "ceiling_usd": "usd?",
        "ask_above_usd": "usd?",
        "data": "text",
        "*": "any",
    },
    "costs-reconcile": [
        {
            "run": "text",
            "position": "int",
            "version": "int",
            "call": "text",
            "model?": "text",
            "started_at?": "time",
            "unreconciled_usd": "usd",
            "settled_usd?": "usd",
        }
    ],
    "costs-show": [
        {
            **_SPENT,
            **{f"{name}?": "text?" for name in ("model", "phase", "task", "provider", "lane", "run", "team")},
        }
    ],
    "doctor": {
        "providers": [
            {
                "provider": "text",
                "state": "text",
                "key": "text?",
                "keys": ["text"],
                "variables": ["text"],
                "base_url": "text?",
                "models": "int",
                "problem": "text?",
                "live": Null({"problem": "text?", "models": "int?", "not_served": ["text"], "milliseconds": "int"}),
            }
        ],
        "local_servers": [{"server": "text", "base_url": "text", "models": ["text"]}],
        "network": {
            "proxy": "text?",
            "proxy_variable": "text?",
            "no_proxy": "text?",
            "ca_bundle": "text?",
            "common_ca_bundle": "text?",
            "ignored": ["text"],
        },
        "data_folder": {
            "path": "text",
            "exists": "bool",
            "log_bytes": "int?",
            "sqlite": "text",
            "problem": "text?",
        },
        "in_force": "text?",
        "sandboxes": [{"sandbox": "text", "holds": "bool", "detail": "text"}],
        "tools": Map("text?"),
        "plugins": [{"kind": "text", "name": "text", "distribution": "text", "problem": "text"}],
    },
    "error": {"error": {"code": "int", "messages": ["text"]}},
    "explain": [_EXPLAINED],
    "fork": {
        "run_id": "text",
        "parent": "text",
        "version": "int",
        "position": "int",
        "hash": "hash",
        "moved": "bool",
        "changes": ["text"],
    },
    "limits-set": _LIMITS,
    "limits-show": [_LIMITS],
    "log-archive": _ARCHIVED,
    "log-gc": {
        "texts": "int",
        "text_bytes": "int",
        "cached_answers": "int",
        "live": ["text"],
        "bytes_before": "int",
        "bytes_after": "int",
        "expired": [{"run_id": "text", "texts": "int", "bytes": "int"}],
        "held": "any",
        "expired_live": "any",
        "expired_damaged": "any",
        "expired_without_key": "any",
        "lock_files": "int",
        "dry_run": "bool",
    },
    "log-copy": {
        "source": "text",
        "target": "text",
        "streams": "int",
        "events": "int",
        "texts": "int",
        "position": "int",
    },
    "log-import": {**_AUDITED, "path": "text?"},
    "log-recover": {
        "run_id": "text",
        "path": "text",
        "events": "int",
        "head": "text",
        "texts": "int",
        "complete": "bool",
        "lost_events": "int?",
        "lost_positions": ["any"],
        "lost_types": Map("int"),
        "findings": [{"position": "int?", "version": "int?", "message": "text"}],
        "bad_texts": [{"digest": "text", "problem": "text", "versions": ["int"]}],
        "accounts_not_copied": ["text"],
    },
    "log-show": _EXCHANGE,
    "log-stats": {
        "file_bytes": "int",
        "wal_bytes": "int",
        "free_bytes": "int",
        "runs": [
            {
                "run_id": "text",
                "events": "int",
                "event_bytes": "int",
                "texts": "int",
                "text_bytes": "int",
                "cached_answers": "int",
                "content_deleted": "bool",
                "archived": "bool",
                "large": "bool",
            }
        ],
    },
    "metrics": {
        "at": "int",
        "runs": Map(
            {
                "status": "text",
                "simulated": "bool",
                "started_at": "int",
                "active_seconds": "num",
                "sessions_total": "int",
                "tasks": Map("int"),
                "calls_total": "int",
                "calls_failed_total": "int",
                "calls_in_flight": "int",
                "answers_reused_total": "int",
                "input_tokens_total": "int",
                "output_tokens_total": "int",
                "cap_usd": "num",
                "settled_usd": "num",
                "unreconciled_usd": "num",
                "in_flight_usd": "num",
                "budget_warnings_total": "int",
                "project?": "text",
            }
        ),
        "models": Map(
            {
                "provider": "text",
                "vendor": "text",
                "calls_total": "int",
                "success_rate": "num?",
                "latency_avg_ms": "num?",
                "latency_p95_ms": "num?",
                "quality_score": "num?",
                "trust_factor": "num",
                "cost_avg_usd": "num?",
                "validator_failures_total": "int",
                "failures_total": "int",
                "input_tokens_total": "int",
                "output_tokens_total": "int",
                "cost_usd_total": "num",
            }
        ),
    },
    "models-list": [_MODEL],
    "models-show": {
        **_MODEL,
        "grades": [Map("any")],
    },
    "plan-edit": {"run_id": "text", "tasks": ["text"], "taken": "bool"},
    "plan-show": {
        "given": "bool",
        "planning": Null(_ROUTE),
        "tasks?": [_PLANNED],
        "types?": [_PLANNED],
        "cap_usd": "usd",
        "forecast": Null(
            {
                "expected_usd": "usd",
                "phases_usd": Map("usd"),
                "tokens": "int?",
                "seconds": "num",
                "risk": "text",
                "models": Map("text"),
            }
        ),
        "warnings": ["text"],
        "simulated": Null(
            {
                "plays": "int",
                "cost_usd": Map("usd"),
                "seconds": Map("num"),
                "statuses": Map("int"),
                "measured": "bool",
            }
        ),
        "run_id": "text?",
    },
    "plugins-check": [
        {
            "plugin": "text",
            "passed": "int",
            "left_out": "int",
            "problems": [{"test": "text", "problem": "text"}],
            "scale?": {
                "grade": "text",
                "criteria": [{"level": "text", "name": "text", "holds": "bool", "why": "text"}],
            },
        }
    ],
    "plugins-info": [_PLUGIN],
    "plugins-install": {
        "command": ["text"],
        "installed": [{"kind": "text", "name": "text", "distribution": "text", "version": "text"}],
    },
    "plugins-list": [_PLUGIN],
    "plugins-search": [{"distribution": "text", "version": "text", "summary": "text", "plugins": Map(["text"])}],
    "policy-check": {"ok": "bool", "errors": ["text"], "warnings": ["text"], "info": ["text"]},
    "policy-explain": [
        {
            "level": "text",
            "place": "text",
            "name": "text",
            "max_cost_per_task_usd?": "usd",
            "rate_limit?": {"cost_usd_per_hour?": "usd", "*": "any"},
            "enforcement_mode?": "text",
            "*": "any",
        }
    ],
    "pool": {
        "winner": "text?",
        "why": "text",
        "agents": [
            {
                "agent": "text",
                "run_id": "text",
                "status": "text",
                "score": "num",
                "cost_usd": "usd",
                "seconds": "num",
            }
        ],
        "failed": Map("text"),
    },
    "replay": {
        **{f"{name.removesuffix('?')}?": shape for name, shape in _RUN.items()},
        "ok?": "bool",
        "decisions?": "int",
        "differences?": _DIFFERENCES,
        "under_other_rules?": _DIFFERENCES,
        "not_recomputable?": [_AT],
    },
    "runs-cancel": {"run_id": "text", "stopped": "bool"},
    "runs-take-over": {"run_id": "text", "ended_process": "bool"},
    "runs-delete": {
        "run_id": "text",
        "texts": "int",
        "bytes": "int",
        "overwritten": "bool",
        "forks": ["text"],
    },
    "runs-diff": {
        "runs": ["text"],
        "shared_versions": "int",
        "spec": ["any"],
        "settings": ["any"],
        "decisions": [{"decision": "any", "values": ["any"]}],
        "tasks": [
            {"task": "text", "values": [Null({"status": "text", "score": "num?", "model": "text?", "cost_usd": "usd"})]}
        ],
        "status": ["text"],
        "spent_usd": ["usd"],
        "cap_usd": ["usd"],
        **_DAMAGED,
    },
    "runs-list": [
        {
            "run_id": "text",
            "title": "text",
            "status": "text",
            "started_at": "time",
            "finished_at": "time?",
            "cap_usd": "usd",
            "settled_usd": "usd",
            "held_usd": "usd",
            "tasks": "int?",
            "head": "hash",
        }
    ],
    "runs-show": _RUN,
    "spec-validate": [
        {
            "file": "text",
            "ok": "bool",
            "problems": ["text"],
            "warnings": ["text"],
            "capabilities": [{"kind": "text", "value": "text", "granted_by": "text?", "denied": "bool"}],
        }
    ],
    "fleet-up": _FLEET,
    "fleet-status": _FLEET,
    "fleet-down": _FLEET,
    "submit": [{"run_id": "text", "new": "bool"}],
    "trust-list": [{"spec": "text", "capability": "text"}],
    "whatif": {
        "faithful": "bool",
        "recorded": {"status": "text", "spend_usd": "usd"},
        "was": _SIDE,
        "then": _SIDE,
        "difference_usd": "usd",
        "repriced_usd": "usd",
        "changes": [
            {
                **_CALL,
                "was": "text?",
                "then": "text?",
                "why": "text?",
                "policy": "text?",
                "quality": "text?",
            }
        ],
    },
    "workers-list": [
        {
            "worker": "text",
            "status": "text",
            "host": "text",
            "process": "int",
            "jobs": "int",
            "runs": ["text"],
            "started_at": "time",
        }
    ],
}
"""What each document holds; a list is its ``items``."""


def schema_of(shape: Any) -> dict[str, Any]:
    """The JSON Schema of a shape."""
    match shape:
        case str():
            if shape.startswith("="):
                return {"const": shape[1:]}
            word = _WORDS[shape.removesuffix("?")]
            return {**word, "type": [word["type"], "null"]} if shape.endswith("?") else dict(word)
        case [of]:
            return {"type": "array", "items": schema_of(of)}
        case Map(of):
            return {"type": "object", "additionalProperties": schema_of(of)}
        case Null(of):
            return {"anyOf": [schema_of(of), {"type": "null"}]}
        case OneOf(shapes):
            return {"oneOf": [schema_of(each) for each in shapes]}
    others = shape.get("*")
    own = {name: below for name, below in shape.items() if name != "*"}
    fields = {name.removesuffix("?"): _field(name.removesuffix("?"), below) for name, below in own.items()}
    found = {"type": "object", "required": [name for name in own if not name.endswith("?")], "properties": fields}
    return found if others is None else {**found, "additionalProperties": schema_of(others)}


def _field(name: str, shape: Any) -> dict[str, Any]:
    about = _ABOUT.get(name)
    found = schema_of(shape)
    return found if about is None else {**found, "description": about}


def document_schema(name: str, shape: Any) -> dict[str, Any]:
    """The JSON Schema of a whole document, with its format and version."""
    content = schema_of(shape) if isinstance(shape, dict | Map) else schema_of({"items": shape})
    head = {"format": {"const": f"orchestrate-{name}"}, "format_version": {"const": VERSION}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"orchestrate {name.replace('-', ' ')} --json" if name != "error" else "An error, with --json",
        "$comment": "Fields may be added: ignore those you do not know.",
        **content,
        "required": ["format", "format_version", *content.get("required", ())],
        "properties": {**head, **content.get("properties", {})},
    }


def table() -> str:
    """A row per format: the command, and the fields of its document or of its items."""
    rows = ["| command | document | its fields |", "|---|---|---|"]
    for name, shape in FORMATS.items():
        is_list = isinstance(shape, list)
        fields = shape[0] if is_list else shape
        match fields:
            case OneOf(shapes):
                about = "by `kind`: " + ", ".join(f"`{each['kind'][1:]}`" for each in shapes)
            case Map():
                about = "by name"
            case _:
                about = ", ".join(f"`{each.removesuffix('?')}`" for each in fields if each != "*")
        rows.append(f"| `{name.replace('-', ' ')}` | {'`items`' if is_list else 'object'} | {about} |")
    return "\n".join(rows) + "\n"


def write() -> None:
    """Write all of it."""
    SCHEMAS.mkdir(exist_ok=True)
    for path in SCHEMAS.glob("*.json"):
        path.unlink()
    for name, shape in FORMATS.items():
        text = json.dumps(document_schema(name, shape), indent=1) + "\n"
        (SCHEMAS / f"{name}.json").write_text(text, encoding="utf-8")
    page = DOCS / "json.md"
    text = page.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- formats -->\n).*?(<!-- end -->)", re.DOTALL)
    page.write_text(marked.sub(lambda found: f"{found[1]}{table()}{found[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    write()

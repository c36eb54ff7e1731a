"""A vendor on this machine that sells batches as OpenAI, Anthropic and Google do, and keeps a ledger."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import Factory, define

from orchestrator.models import ModelInfo
from orchestrator.money import Usd
from tests.plugins.providers.vendor_server import Billed, VendorServer, _understood
from tests.servers.local import Fault, Received

_NOT_FOUND: Final = Fault(404, {"error": {"message": "not found", "type": "not_found_error"}})
_FILE: Final = re.compile(rb"filename=\"[^\"]*\"\r\n(?:[^\r\n]+\r\n)*\r\n(.*)\r\n--[^\r\n]+--", re.DOTALL)

Verdict = str
"""What becomes of a request: ``done``, ``error``, ``expired`` or ``canceled``."""
Judge = Callable[[int, str], Verdict]
"""From the number of a request, from 1 over all batches, and its id."""


@define
class Submitted:
    """A batch as the vendor has it."""

    id: str
    key: str | None
    """What the vendor shows of us in its list."""
    created: float
    lines: Sequence[tuple[str, str, Mapping[str, Any]]]
    """Of each request the id, the path and the body."""
    looks: int = 0
    cancelled: bool = False
    verdicts: dict[str, Verdict] = Factory(dict)
    """By id, once it has ended."""
    answers: dict[str, Mapping[str, Any]] = Factory(dict)

    @property
    def has_ended(self) -> bool:
        """Whether there are results."""
        return bool(self.verdicts)


class BatchServer(VendorServer):
    """Serves one vendor's single calls and batches.

    A batch ends with the look that follows ``patience`` others. ``on`` is called with the name of every step, before it
    and after it: ``create`` and ``created``, ``look`` and ``looked``, ``read`` and ``given``.
    """

    def __init__(
        self,
        vendor: str,
        models: Mapping[str, ModelInfo],
        *,
        patience: int = 1,
        judge: Judge = lambda number, name: "done",
        on: Callable[[str], None] = lambda step: None,
    ) -> None:
        super().__init__(vendor, models)
        self.patience = patience
        self.judge = judge
        self.on = on
        self.batches: list[Submitted] = []
        self.results: dict[str, Usd] = {}
        """What each request that was done cost, by its id."""
        self._files: dict[str, bytes] = {}
        self._sold = {model.sent_name: model for model in models.values()}

    def respond(self, received: Received) -> Fault:
        """What to send for a request."""
        handler = {"openai": self._openai, "anthropic": self._anthropic, "google": self._google}[self.vendor]
        path = received.path.partition("?")[0].removeprefix("/v1beta").removeprefix("/v1").strip("/")
        return handler(received, path.split("/")) or super().respond(received)

    # The three protocols.

    def _openai(self, received: Received, path: list[str]) -> Fault | None:
        match received.method, path:
            case "POST", ["files"]:
                found = _FILE.search(received.body)
                with self._lock:
                    name = f"file-{len(self._files)}"
                    self._files[name] = b"" if found is None else found[1]
                return Fault(200, {"id": name, "object": "file", "purpose": "batch"})
            case "POST", ["batches"]:
                wanted = json.loads(received.body)
                rows = [json.loads(line) for line in self._files[wanted["input_file_id"]].splitlines()]
                lines = [(row["custom_id"], row["url"], row["body"]) for row in rows]
                return self._create("batch_", wanted["metadata"]["orchestrate_batch"], lines)
            case "GET", ["batches"]:
                return Fault(200, {"object": "list", "data": self._listed()})
            case "GET", ["batches", name]:
                return self._look(name)
            case "GET", ["files", name, "content"]:
                return self._given("\n".join(json.dumps(each) for each in self._openai_lines(name)))
            case "POST", ["batches", name, "cancel"]:
                return self._cancel(name)
        return None

    def _openai_lines(self, file: str) -> list[Mapping[str, Any]]:
        batch = self._of(file.removeprefix("out-").removeprefix("err-"))
        lines: list[Mapping[str, Any]] = []
        for name, verdict in batch.verdicts.items():
            around = {"id": f"batch_req_{name[:8]}", "custom_id": name, "error": None, "response": None}
            if verdict == "done" and file.startswith("out-"):
                lines.append(
                    around | {"response": {"status_code": 200, "request_id": "r", "body": batch.answers[name]}}
                )
            elif verdict == "error" and file.startswith("err-"):
                body = {"error": {"message": "The server had an error", "type": "server_error"}}
                lines.append(around | {"response": {"status_code": 500, "request_id": "r", "body": body}})
            elif verdict in ("expired", "canceled") and file.startswith("err-"):
                code = "batch_expired" if verdict == "expired" else "batch_cancelled"
                lines.append(around | {"error": {"code": code, "message": "This request could not be executed."}})
        return lines

    def _anthropic(self, received: Received, path: list[str]) -> Fault | None:
        match received.method, path:
            case "POST", ["messages", "batches"]:
                rows = json.loads(received.body)["requests"]
                return self._create("msgbatch_", None, [(e["custom_id"], "/v1/messages", e["params"]) for e in rows])
            case "GET", ["messages", "batches"]:
                return Fault(200, {"data": self._listed(), "has_more": False})
            case "GET", ["messages", "batches", name]:
                return self._look(name)
            case "GET", ["messages", "batches", name, "results"]:
                return self._given("\n".join(json.dumps(each) for each in self._anthropic_lines(self._of(name))))
            case "POST", ["messages", "batches", name, "cancel"]:
                return self._cancel(name)
        return None

    def _anthropic_lines(self, batch: Submitted) -> list[Mapping[str, Any]]:
        results: dict[Verdict, Callable[[str], Mapping[str, Any]]] = {
            "done": lambda name: {"type": "succeeded", "message": batch.answers[name]},
            "error": lambda name: {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
            },
            "expired": lambda name: {"type": "expired"},
            "canceled": lambda name: {"type": "canceled"},
        }
        return [{"custom_id": name, "result": results[each](name)} for name, each in batch.verdicts.items()]

    def _google(self, received: Received, path: list[str]) -> Fault | None:
        match received.method, path:
            case "POST", ["models", name] if name.endswith(":batchGenerateContent"):
                batch = json.loads(received.body)["batch"]
                url = f"/v1beta/models/{name.removesuffix(':batchGenerateContent')}:generateContent"
                rows = batch["inputConfig"]["requests"]["requests"]
                return self._create("", batch["displayName"], [(e["metadata"]["key"], url, e["request"]) for e in rows])
            case "GET", ["batches"]:
                return Fault(200, {"operations": self._listed()})
            case "GET", ["batches", name]:
                return self._look(name)
            case "POST", ["batches", name] if name.endswith(":cancel"):
                return self._cancel(name.removesuffix(":cancel"))
        return None

    def _google_results(self, batch: Submitted) -> list[Mapping[str, Any]]:
        error = {"error": {"code": 13, "message": "Internal error encountered."}}
        return [
            {"metadata": {"key": name}, **({"response": batch.answers[name]} if verdict == "done" else error)}
            for name, verdict in batch.verdicts.items()
            if verdict in ("done", "error")
        ]

    # What they share.

    def _create(self, prefix: str, key: str | None, lines: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Fault:
        self.on("create")
        with self._lock:
            batch = Submitted(f"{prefix}{len(self.batches)}", key, time.time(), lines)
            self.batches.append(batch)
        self.on("created")
        return Fault(200, self._shown(batch))

    def _listed(self) -> list[Mapping[str, Any]]:
        """All batches, the latest first; being listed brings them on as a look does."""
        for batch in self.batches:
            self._bring_on(batch)
        return [self._shown(batch) for batch in self.batches[::-1]]

    def _bring_on(self, batch: Submitted) -> None:
        with self._lock:
            batch.looks += 1
            if not batch.has_ended and (batch.looks > self.patience or batch.cancelled):
                self._finish(batch)

    def _of(self, name: str) -> Submitted:
        return next(batch for batch in self.batches if batch.id == name)

    def _look(self, name: str) -> Fault:
        self.on("look")
        batch = self._of(name)
        self._bring_on(batch)
        shown = self._shown(batch)
        self.on("looked")
        return Fault(200, shown)

    def _finish(self, batch: Submitted) -> None:
        for name, path, body in batch.lines:
            verdict = "canceled" if batch.cancelled else self.judge(len(self.results) + 1, name)
            batch.verdicts[name] = verdict
            asked = _understood(self.vendor, path, body)
            assert asked is not None, path
            assert not asked.stream, "a request of a batch asks for a stream"
            if verdict == "done":
                model = self._sold[asked.model]
                assert model.batch_price is not None
                answer, usage = self._answer(asked, json.dumps(body, ensure_ascii=False).encode())
                cost = model.batch_price.cost(usage)
                assert isinstance(answer.body, Mapping)
                batch.answers[name] = answer.body
                self.ledger.append(Billed(asked.model, usage, cost, {}))
                self.results[name] = self.results.get(name, Usd.ZERO) + cost

    def _cancel(self, name: str) -> Fault:
        batch = self._of(name)
        batch.cancelled = not batch.has_ended
        return Fault(200, self._shown(batch))

    def _given(self, content: str) -> Fault:
        self.on("read")
        self.on("given")
        return Fault(200, content, {"content-type": "application/octet-stream"})

    def _shown(self, batch: Submitted) -> Mapping[str, Any]:
        return {"openai": _openai_batch, "anthropic": _anthropic_batch, "google": self._google_batch}[self.vendor](
            batch
        )

    def _google_batch(self, batch: Submitted) -> Mapping[str, Any]:
        done, expired = batch.has_ended, "expired" in batch.verdicts.values()
        state = "RUNNING" if not done else "CANCELLED" if batch.cancelled else "EXPIRED" if expired else "SUCCEEDED"
        shown: dict[str, Any] = {
            "name": f"batches/{batch.id}",
            "metadata": {
                "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
                "displayName": batch.key,
                "state": f"BATCH_STATE_{state}",
            },
        }
        if done:
            shown |= {"done": True, "response": {"inlinedResponses": {"inlinedResponses": self._google_results(batch)}}}
        return shown


def _openai_batch(batch: Submitted) -> Mapping[str, Any]:
    done, expired = batch.has_ended, "expired" in batch.verdicts.values()
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "status": "in_progress"
        if not done
        else "cancelled"
        if batch.cancelled
        else "expired"
        if expired
        else "completed",
        "output_file_id": f"out-{batch.id}" if "done" in batch.verdicts.values() else None,
        "error_file_id": f"err-{batch.id}" if set(batch.verdicts.values()) - {"done"} else None,
        "created_at": int(batch.created),
        "metadata": {"orchestrate_batch": batch.key},
    }


def _anthropic_batch(batch: Submitted) -> Mapping[str, Any]:
    names = {"processing": None, "succeeded": "done", "errored": "error", "canceled": "canceled", "expired": "expired"}
    counts = {name: list(batch.verdicts.values()).count(str(verdict)) for name, verdict in names.items()}
    counts["processing"] = 0 if batch.has_ended else len(batch.lines)
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.has_ended else "canceling" if batch.cancelled else "in_progress",
        "request_counts": counts,
        "created_at": datetime.fromtimestamp(batch.created, UTC).isoformat(),
        "results_url": "https://elsewhere.invalid/results" if batch.has_ended else None,
    }

"""The exporter ``webhook``: committed events as signed JSON to a web address, each at least once.

Options: ``url`` (required), ``secret_env`` (the variable whose value signs), ``events`` (names such as ``run.finished``
or ``task.*``; all where it is left out).
"""

import fnmatch
import hashlib
import hmac
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from attrs import define, frozen

from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent, SpecError, hookimpl
from orchestrator_exporters.options import Options

SIGNATURE: Final = "X-Orchestrate-Signature"
"""Holds ``sha256=`` and the HMAC of timestamp, a full stop and the body, in hexadecimal digits."""
TIMESTAMP: Final = "X-Orchestrate-Timestamp"
"""Seconds since 1970 when it was sent."""

_BATCH: Final = 100
_SECONDS: Final = 2.5
"""How long one request may take."""
_SHARE: Final = 5.0
"""Seconds after which one export begins no other request."""
_PAUSES: Final = (0.0, 1.0, 5.0, 15.0, 60.0)
"""Seconds without a request after so many failures in a row."""
_SUCCESS: Final = range(200, 300)
_END: Final = "run.finished"
_LOCAL: Final = ("localhost", "::1")


class DeliveryError(Exception):
    """The receiver did not take a batch."""


@frozen
class Cursor:
    """How far the receiver has one run: every event up to ``version`` was taken, or is not wanted."""

    run: str
    version: int = 0
    is_done: bool = False
    """Whether the event at ``version`` ended the run."""


@define
class CursorFolder:
    """The cursors of one receiver, a file for each run, replaced as a whole."""

    folder: Path

    def read(self, run: str) -> Cursor:
        """The run's cursor; at its beginning where there is no file that can be read."""
        try:
            found = json.loads(self._path(run).read_text(encoding="utf-8"))
            return Cursor(run, int(found["version"]), bool(found["done"]))
        except (OSError, ValueError, TypeError, KeyError):
            return Cursor(run)

    def write(self, cursor: Cursor) -> None:
        """Keep a cursor durably.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"run": cursor.run, "version": cursor.version, "done": cursor.is_done}, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self._path(cursor.run))

    def unfinished(self) -> Iterator[str]:
        """The runs whose end the receiver does not have."""
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            with suppress(OSError, ValueError, KeyError, TypeError):
                run = str(json.loads(path.read_text(encoding="utf-8"))["run"])
                if not self.read(run).is_done:
                    yield run

    def _path(self, run: str) -> Path:
        return self.folder / f"{hashlib.sha256(run.encode()).hexdigest()[:32]}.json"


class WebhookExporter(Exporter):
    """Reads on in the log from the cursor at every export, and moves the cursor once the receiver has said 2xx.

    A receiver can get an event twice: where its answer was lost, or the program was killed before the cursor was
    written. ``run`` and ``version`` tell it so.
    """

    def __init__(self, config: ExporterConfig, url: str, secret: str | None, wanted: Sequence[str]) -> None:
        self._history = config.history
        self._url = url
        self._secret = None if secret is None else secret.encode()
        self._wanted = tuple(wanted)
        self._where = _shown(url)
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._cursors = None if config.folder is None else CursorFolder(config.folder / name)
        self._kept: dict[str, Cursor] = {}
        self._client = httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=not _is_local(url))
        self._failures, self._not_before, self._is_swept = 0, 0.0, False

    def export(self, metrics: Metrics) -> None:
        """Send what the receiver does not have of this run, and of earlier runs whose end it does not have."""
        if metrics.run is None or time.monotonic() < self._not_before:
            return
        until = time.monotonic() + _SHARE
        try:
            self._send_run(metrics.run, until)
            if not self._is_swept and self._cursors is not None:
                for run in self._cursors.unfinished():
                    self._send_run(run, until)
                self._is_swept = True
        except DeliveryError:
            self._failures += 1
            self._not_before = time.monotonic() + _PAUSES[min(self._failures, len(_PAUSES) - 1)]
            raise
        self._failures = 0

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _send_run(self, run: str, until: float) -> None:
        cursor = self._cursor(run)
        self._keep(cursor)  # that there is something to send is known to the next session, whatever comes now
        events = iter(self._history(run, cursor.version))
        while time.monotonic() < until and (batch := list(islice(events, _BATCH))):
            wanted = [event for event in batch if self._wants(event.type)]
            if wanted:
                self._post(run, wanted)
            self._keep(Cursor(run, batch[-1].version, batch[-1].type == _END))

    def _wants(self, name: str) -> bool:
        return not self._wanted or any(fnmatch.fnmatchcase(name, pattern) for pattern in self._wanted)

    def _cursor(self, run: str) -> Cursor:
        return self._kept.get(run) or (Cursor(run) if self._cursors is None else self._cursors.read(run))

    def _keep(self, cursor: Cursor) -> None:
        self._kept[cursor.run] = cursor
        if self._cursors is not None:
            self._cursors.write(cursor)

    def _post(self, run: str, events: Sequence[RunEvent]) -> None:
        body = json.dumps({"run": run, "events": [_plain(event) for event in events]}, ensure_ascii=False).encode()
        try:
            answer = self._client.post(self._url, content=body, headers=self._headers(body))
        except httpx.HTTPError as error:
            why = "gave no answer" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
            raise DeliveryError(f"{self._where} {why}; its events wait in the log") from None
        if answer.status_code not in _SUCCESS:
            raise DeliveryError(f"{self._where} answered {answer.status_code}; its events wait in the log")

    def _headers(self, body: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        headers = {"Content-Type": "application/json", TIMESTAMP: at}
        if self._secret is not None:
            headers[SIGNATURE] = f"sha256={signature(self._secret, at, body)}"
        return headers


def signature(secret: bytes, at: str, body: bytes) -> str:
    """The HMAC-SHA256 of a body that is sent at a time, in hexadecimal digits."""
    return hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _plain(event: RunEvent) -> Mapping[str, Any]:
    return {"version": event.version, "at": event.at, "type": event.type, "data": event.data}


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in _LOCAL or host.startswith("127.")


def _shown(url: str) -> str:
    """The address without user, password, path and query: paths of webhooks are often secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from ``url``, ``secret_env`` and ``events``."""
    options = Options(config)
    url, name, wanted = options.text("url"), options.text("secret_env"), options.names("events")
    if url is None:
        options.refuse("url is missing: where are the events to be sent?")
    elif urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        options.refuse("url: expected an address such as https://example.org/hook")
    secret = None if name is None else config.secret(name)
    if name is not None and secret is None:
        options.refuse(f"secret_env: {name} is not set")
    options.done()
    if url is None:
        raise SpecError([f"exporters.{config.name}: url is missing"])
    return WebhookExporter(config, url, secret, wanted)

"""A server between the program and the model: equal requests of a problem get equal answers in every arm.

So the arms are paired: the draft that ``plain`` delivers is the draft that every other arm begins with. The n-th of
several equal requests of one run gets the n-th answer, so that a run's samples stay independent of each other.
"""

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
from attrs import Factory, define, field, frozen

_SECONDS: Final = 1800.0
_FORWARDED: Final = ("authorization", "content-type", "accept")


@frozen
class Answered:
    """A reply of the model's server."""

    status: int
    type: str
    body: bytes


@define
class SharedAnswers:
    """Serves on 127.0.0.1 while its ``with`` block lasts.

    Args:
        target: the base URL of the model's server.
        folder: where the answers are kept, one file each, so that a round that goes on later is paired as well.
    """

    target: str
    folder: Path
    _counts: dict[str, Counter[str]] = Factory(dict)
    _locks: dict[str, threading.Lock] = Factory(dict)
    _lock: threading.Lock = Factory(threading.Lock)
    _client: httpx.Client = field(init=False)
    _server: ThreadingHTTPServer = field(init=False)

    def __enter__(self) -> "SharedAnswers":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._client = httpx.Client(timeout=_SECONDS, trust_env=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def base_url(self, group: str, run: str) -> str:
        """The base URL for a run. Runs of one ``group`` share answers; a run that is tried again counts from one."""
        with self._lock:
            self._counts[f"{group}/{run}"] = Counter()
        return f"http://127.0.0.1:{self._server.server_address[1]}/{group}/{run}"

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> Answered:
        """The reply to a POST: a kept one, else the server's, which is kept where it is a success."""
        _, group, run, rest = path.split("/", 3)
        digest = hashlib.sha256(f"{group}\n{rest}\n".encode() + body).hexdigest()
        with self._lock:
            counts = self._counts.setdefault(f"{group}/{run}", Counter())
            counts[digest] += 1
            name = f"{digest[:40]}-{counts[digest]}"
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            unreconciled = self.folder / f"{name}.json"
            if unreconciled.exists():
                return _read(unreconciled)
            answered = self._forward(rest, body, headers)
            if answered.status == httpx.codes.OK:
                _write(unreconciled, answered)
                return answered
        with self._lock:
            self._counts[f"{group}/{run}"][digest] -= 1  # the same request again is the same place again
        return answered

    def _forward(self, rest: str, body: bytes, headers: dict[str, str]) -> Answered:
        wanted = {name: value for name, value in headers.items() if name.lower() in _FORWARDED}
        try:
            reply = self._client.post(f"{self.target.rstrip('/')}/{rest}", content=body, headers=wanted)
        except httpx.HTTPError as error:
            text = json.dumps({"error": {"message": f"{self.target}: {type(error).__name__}", "type": "server_error"}})
            return Answered(502, "application/json", text.encode())
        return Answered(reply.status_code, reply.headers.get("content-type", "application/json"), reply.content)


def _read(path: Path) -> Answered:
    value: Any = json.loads(path.read_text(encoding="utf-8"))
    return Answered(httpx.codes.OK, value["type"], value["body"].encode())


def _write(path: Path, answered: Answered) -> None:
    text = json.dumps({"type": answered.type, "body": answered.body.decode(errors="replace")}, ensure_ascii=False)
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _handler(answers: SharedAnswers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answered = answers.answer(self.path, body, dict(self.headers.items()))
            self.send_response(answered.status)
            self.send_header("content-type", answered.type)
            self.send_header("content-length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)

        def log_message(self, *args: object) -> None:
            """Say nothing: the run's own log has every call."""

    return Handler

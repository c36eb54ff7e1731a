"""Runs inside the sandbox: starts a server, asks it, and says what it answered. Needs the standard library alone.

Its one argument is JSON: ``argv``, ``port``, ``asks`` (path and the status that answers stay below), ``seconds``.
Its last line of output is JSON: ``ok``, ``answers`` (path and status), ``problem``.
"""

import json
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from typing import Any


def main() -> int:
    """Start, ask, stop."""
    wanted = json.loads(sys.argv[1])
    deadline = time.monotonic() + wanted["seconds"]
    server = subprocess.Popen(wanted["argv"], stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
    try:
        report = asked(server, wanted["port"], wanted["asks"], deadline)
    finally:
        server.terminate()
        try:
            server.wait(3)
        except subprocess.TimeoutExpired:
            server.kill()
    sys.stderr.flush()
    sys.stdout.write("\n" + json.dumps(report) + "\n")
    return 0 if report["ok"] else 1


def asked(server: "subprocess.Popen[bytes]", port: int, asks: list[list[Any]], deadline: float) -> dict[str, Any]:
    """What a server answers, once it listens."""
    answers: list[list[Any]] = []
    for path, below in asks:
        while True:
            if server.poll() is not None:
                return report(False, answers, f"it ended with status {server.returncode}")
            try:
                connection = HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", path)
                status = connection.getresponse().status
                break
            except (OSError, HTTPException) as error:
                if time.monotonic() > deadline:
                    return report(False, answers, f"no answer to GET {path}: {error}")
                time.sleep(0.1)
            finally:
                connection.close()
        answers.append([path, status])
        if status >= below:
            return report(False, answers, f"GET {path} was answered with {status}")
    return report(True, answers, None)


def report(ok: bool, answers: list[list[Any]], problem: str | None) -> dict[str, Any]:
    """The last line."""
    return {"ok": ok, "answers": answers, "problem": problem}


if __name__ == "__main__":
    sys.exit(main())

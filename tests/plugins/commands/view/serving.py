"""The application over real HTTP: served in a thread, asked by httpx."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from typing import Any, Final

import click
import httpx
import uvicorn
from attrs import frozen

from orchestrator.ledger.event_log import EventLog
from orchestrator_view.app import make_app
from orchestrator_view.guard import Access
from orchestrator_view.log_source import Source
from tests.golden import Golden
from tests.sql import sqlite_of

PATIENCE: Final = 60.0


@frozen
class Served:
    """An application that answers."""

    access: Access
    client: httpx.Client
    """Has the token."""

    @property
    def base(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self.access.port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask for a page."""
        return self.client.get(path, **options)

    def page(self, path: str) -> "Page":
        """A page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}\n{answer.text[-2000:]}"
        return Page(answer.text)

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form of this session, and follow to the page that tells what came of it."""
        form = {"form": self.access.form_token, **fields}
        return self.client.post(path, data=form, follow_redirects=True)


@contextmanager
def served(home: Path, *, allow_actions: bool = False) -> Iterator[Served]:
    """Serve a data folder."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    access = Access("a-token-for-tests", listening.getsockname()[1], allow_actions)
    with click.Context(click.Command("view")) as context:
        context.meta["orchestrate.home"] = home
        source = Source(home, context)
        app = make_app(source, access)
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, ws="none")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            headers = {"Authorization": f"Bearer {access.token}"}
            base = f"http://127.0.0.1:{access.port}"
            with httpx.Client(base_url=base, headers=headers, timeout=PATIENCE, trust_env=False) as client:
                yield Served(access, client)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            app.state.actions.wait(PATIENCE)
            source.close()
            listening.close()


class Page(HTMLParser):
    """A page as a program sees it: its elements, and the text of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """Its text with one space between words."""
        return " ".join(self.text.split())

    @property
    def links(self) -> set[str]:
        """The addresses it links to."""
        return {href for each in self.of("a") if (href := each.get("href"))}


def foreign(page: Page) -> list[str]:
    """What a page would ask of any other place, or run without being a file of the application."""
    found = []
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "action", "data", "poster", "srcset", "formaction", "xlink:href"):
                if value and not re.match(r"(/(?!/)|#|\?)", value):
                    found.append(f"{tag} {name}={value}")
            elif name == "style" or name.startswith("on"):
                found.append(f"{tag} {name}")
        if tag in ("base", "iframe", "object", "embed", "meta") and attributes.get("http-equiv"):
            found.append(tag)
        if tag == "script" and not attributes.get("src"):
            found.append("a script in the page")
    return [*found, *(["style"] if page.of("style") else [])]


def golden_home(folder: Path, log: Golden) -> Path:
    """A data folder with the rows of a golden log."""
    opened = EventLog.open(folder)
    try:
        connection: Any = sqlite_of(opened).connection
        for row in log.rows:
            values = [row[name] for name in ("stream", "version", "type", "schema", "at", "data", "hash")]
            connection.execute(
                "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)", values
            )
    finally:
        opened.close()
    return folder


def wait_for(met: Any, what: str) -> Any:
    """Wait until something is the case."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = met()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"never came: {what}")

"""A network between a store and its server: it can stop forwarding, and it can be cut."""

import asyncio
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


class Wire:
    """Passes bytes on between a port of this machine and a server's socket while its ``with`` block lasts.

    Args:
        folder: of the server's socket.
        limit: bytes of what the server sends (``answers``) or gets, after which the wire is cut, or goes dead.
        answers: which direction is counted.
        dead: whether it then passes nothing on any more, in place of closing the connections.
    """

    def __init__(self, folder: Path, limit: int | None = None, *, answers: bool = True, dead: bool = False) -> None:
        self._socket = folder / ".s.PGSQL.5432"
        self._left = limit
        self._answers = answers
        self._dies = dead
        self.is_dead = False
        """Whether nothing is passed on any more; may be set."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: list[asyncio.StreamWriter] = []

    def __enter__(self) -> Self:
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = started.result()
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, url: str, **more: object) -> str:
        """The address of a store on the server, over this wire."""
        parts = urlsplit(url)
        kept = [each for each in parts.query.split("&") if each and not each.startswith("host=")]
        query = "&".join([*kept, *(f"{name}={value}" for name, value in more.items())])
        user = parts.netloc.partition("@")[0] or "postgres"
        return f"postgresql://{user}@127.0.0.1:{self.port}{parts.path}?{query}"

    async def _end(self) -> None:
        self._server.close()
        tasks = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(str(self._socket))
        self._writers += [writer, to_server]
        await asyncio.gather(
            self._pump(reader, to_server, not self._answers),
            self._pump(from_server, writer, self._answers),
            return_exceptions=True,
        )

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_counted: bool) -> None:
        while data := await source.read(1 << 16):
            if is_counted and self._left is not None:
                data, self._left = data[: self._left], max(0, self._left - len(data))
            if self.is_dead:
                continue
            target.write(data)
            await target.drain()
            if is_counted and self._left == 0:
                if not self._dies:
                    self._cut()
                self.is_dead = True
        target.close()

"""Server-sent events, taken apart as their bytes arrive."""

from typing import Final

_MARK: Final = b"\xef\xbb\xbf"


class EventSplitter:
    """Turns pieces of a body into the data of its events.

    Lines may end with LF, CR LF or CR, also across pieces; comments, event names and ids are passed over.
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._after_return = False
        self._began = False
        self.seen = False
        """Whether a line of an event or a comment has come: whether this is a stream of events at all."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that this piece completes."""
        if not piece:
            return []
        if not self._began:
            self._began, piece = True, piece.removeprefix(_MARK)
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
            self._after_return = False
            if not piece:
                return []
        self._after_return = piece.endswith(b"\r")
        first, *rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line.append(first)
        events: list[bytes] = []
        for following in rest:
            self._end_of_line(b"".join(self._line), events)
            self._line = [following]
        return events

    def rest(self) -> bytes | None:
        """The data of an event that the end of the body left without its blank line, or None."""
        line = b"".join(self._line)
        self._line = []
        if line:
            self._end_of_line(line, [])
        data, self._data = self._data, []
        return b"\n".join(data) if data else None

    def _end_of_line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data = []
            return
        name, colon, value = line.partition(b":")
        if not name and colon:
            self.seen = True
        elif name == b"data" and colon:
            self.seen = True
            self._data.append(value.removeprefix(b" "))
        elif name == b"event" and colon:
            self.seen = True

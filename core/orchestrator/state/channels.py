"""The messages that pass between the parts of a run."""

from attrs import Factory, define


@define
class Channel:
    """One channel of a run: everything put into it, and what of it was not taken yet."""

    messages: list[str] = Factory(list)
    """The digests of all messages, in the order in which they were put; the first has the number 1."""
    waiting: dict[int, str] = Factory(dict)
    """Those not taken, by number, oldest first."""

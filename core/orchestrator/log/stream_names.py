"""What the names of streams say: which are those of evaluations and of workers."""

from typing import Final

EVAL: Final = "eval/"
"""What the names of the streams of evaluations begin with, and those of the accounts that bind their runs."""

WORKER: Final = "worker/"
"""What the names of the streams of workers begin with, and those of their locks."""


def is_worker(stream: str) -> bool:
    """Whether a stream is that of a worker."""
    return stream.startswith(WORKER)


def is_evaluation(stream: str) -> bool:
    """Whether a stream is that of an evaluation."""
    return stream.startswith(EVAL)

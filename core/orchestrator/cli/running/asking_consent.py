"""Asking for what a spec wants beside calling models: once, in one list, before anything of it happens."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.terminal.terminal_output import notice, on_terminal

if TYPE_CHECKING:
    from orchestrator.trust import Admission


def prepare(
    admission: "Admission", allow: Sequence[str], *, may_ask: bool = True, show: Callable[[str], None] = notice
) -> "Admission":
    """Have an admission take ``--allow``, ask at the terminal, and show what specs want.

    Args:
        admission: the user's.
        allow: the values of ``--allow``.
        may_ask: whether a question is in place where there is a terminal.
        show: takes the lines of what an admitted spec wants.

    Raises:
        UsageError: ``--allow`` was given something that is no capability.
    """

    def show_all(lines: Sequence[str]) -> None:
        for each in lines:
            show(each)

    admission.allow(allow)
    admission.ask = agreed if may_ask and on_terminal() else None
    admission.show = show_all
    return admission


def agreed(lines: Sequence[str]) -> bool:
    """Ask the person at the terminal; Enter, Ctrl-D and Ctrl-C are a no."""
    for each in lines:
        notice(each)
    try:
        return click.confirm("Agree, for this spec from now on?", default=False, err=True)
    except click.Abort:
        notice("")
        return False

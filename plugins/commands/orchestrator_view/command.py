"""See runs live: a web application over the log, for this machine alone."""

import secrets
import socket
import sys
import webbrowser
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.kit import home, home_option, notice, result
from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator_view.guard import Access

_HOST: Final = "127.0.0.1"
_NEEDED: Final = ("starlette", "uvicorn", "jinja2")


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="The port. [default: a free one]"
)
@click.option("--open", "open_", is_flag=True, help="Open the address in the browser.")
@click.option(
    "--allow-actions", is_flag=True, help="Let pages start, stop, resume, answer, edit a plan, fork, reconcile."
)
@home_option
def view(port: int, open_: bool, allow_actions: bool) -> int:
    """See runs live in the browser: tasks, calls, decisions, money, evaluations, the log. Ctrl-C ends it.

    Only this machine can reach it, and only with the token in the printed address. Nothing is changed, and nothing is
    loaded from elsewhere.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        text = f"view needs {', '.join(missing)}: pip install 'multi-llm-orchestrator[view]'"
        raise UsageError(text)
    from orchestrator_view.guard import Access

    listening = _listen(port)
    access = Access(secrets.token_urlsafe(24), listening.getsockname()[1], allow_actions)
    address = f"http://{_HOST}:{access.port}/?token={access.token}"
    result(address)
    sys.stdout.flush()
    notice(f"{home()}: {'actions are allowed' if allow_actions else 'read-only'}; Ctrl-C ends it")
    if open_:
        webbrowser.open(address)
    _serve(listening, access)
    return 0


def _listen(port: int) -> socket.socket:
    """A socket on this machine's own address.

    Raises:
        UsageError: the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
        listening.listen(128)  # who is quick to open the address waits until it is served
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port}: {error.strerror}; name another --port, or leave it out") from error
    return listening


def _serve(listening: socket.socket, access: "Access") -> None:
    """Answer until a signal ends it."""
    import uvicorn

    from orchestrator_view.app import make_app
    from orchestrator_view.log_source import Source

    source = Source(home(), click.get_current_context())
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(make_app(source, access), timeout_graceful_shutdown=1, **options))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again once it has ended
    finally:
        source.close()
        listening.close()


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return view

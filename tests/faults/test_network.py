"""The way to the vendors is what the program's own variables say, for whole runs."""

from pathlib import Path
from urllib.parse import urlsplit

from attrs import evolve

from tests.cli.command import orchestrate, scripted_spec
from tests.e2e.test_real_http import models_file
from tests.servers.local import Fault, Received
from tests.servers.openai_server import OpenAIServer


class Proxy(OpenAIServer):
    """Answers in the place of whatever host it is asked to forward to."""

    def respond(self, received: Received) -> Fault:
        """What to send for a request that names its host."""
        address = urlsplit(received.path)
        if address.hostname != "vendor.invalid":
            return Fault(502, {"error": {"message": f"asked for {received.path}"}})
        return super().respond(evolve(received, path=address.path))


def test_a_run_goes_through_the_proxy_that_is_named(tmp_path: Path) -> None:
    """A host that no name service knows is reached; the variables of other programs are not read."""
    spec = scripted_spec(tmp_path, providers={"openai_compatible": {}})
    arguments = ("run", str(spec), "--models", str(models_file(tmp_path)))
    with Proxy() as proxy, OpenAIServer() as other:
        environ = {
            "OPENAI_COMPATIBLE_BASE_URL": "http://vendor.invalid/v1",
            "ORCHESTRATE_PROXY": proxy.address,
            "HTTP_PROXY": other.address,
            "ALL_PROXY": other.address,
        }
        ended = orchestrate(tmp_path / "home", *arguments, environ=environ)

    assert ended.code == 0, ended.err
    assert proxy.ledger
    assert not other.connections
    refused = orchestrate(tmp_path / "home", *arguments, environ={**environ, "ORCHESTRATE_CA_BUNDLE": str(spec)})
    assert refused.code == 2
    assert "the certificate file" in refused.err
    assert len(refused.err.splitlines()) == 1

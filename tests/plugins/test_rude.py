# ruff: noqa: E501
"""What a plugin does to the process it runs in: it prints, starts programs that print, and threads that never end."""

import json
from pathlib import Path

import pytest

from tests.cli.command import orchestrate
from tests.plugins.bad import HEAD
from tests.plugins.installed import installed

RUDE = (
    HEAD
    + """
import subprocess
def noise(where):
    print(f"noise of {where}")
    os.write(1, f"raw noise of {where}\\n".encode())
noise("the import")
class P:
    simulated = True
    def models(self):
        noise("models")
        price = Price(Usd(10**8), Usd(10**8))
        return [ModelInfo(n, "rude", n, price, 100000, 4000, slots=(s,)) for n, s in (("m1", "deepseek-chat"), ("m2", "moonshot-v1"))]
    def encode(self, request):
        noise("encode")
        return Body(b"x" * sum(len(m.text.encode()) for m in request.messages), request)
    async def call(self, body, ctx):
        noise("call")
        subprocess.run(["echo", "noise of a program"])
        texts = {"evaluator": '{"score": 0.95, "reasons": "fine"}', "critic": "fine"}
        return Reply(texts.get(body.request.call.role.value, "x = 1"), Usage(input=5, output=5))
@hookimpl
def orchestrator_provider(config):
    noise("the hook")
    threading.Thread(target=threading.Event().wait, name="for-ever", daemon=False).start()
    return P()
"""
)
SPEC = {
    "project": "Write x.",
    "criteria": "x is there",
    "providers": {"rude": {}},
    "tasks": [{"id": "only", "type": "code_generation", "prompt": "Write x."}],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path with the rude plugin."""
    site = tmp_path_factory.mktemp("rude")
    installed(site, "orchestrator-rude", "1.0", {"orchestrator.providers": {"rude": "rude"}}, {"rude": RUDE})
    return site


def test_a_printing_plugin_does_not_spoil_the_results(site: Path, tmp_path: Path) -> None:
    """Stdout holds the events and nothing else; the noise is on stderr, and the process ends."""
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    ended = orchestrate(tmp_path, "run", "spec.json", "--json", environ={"PYTHONPATH": str(site)})
    assert ended.code == 0
    assert "noise" not in ended.out
    assert [json.loads(line) for line in ended.lines][-1]["status"] == "SUCCESS"
    for where in ("the import", "the hook", "models", "encode", "call"):
        assert f"\nraw noise of {where}\n" in "\n" + ended.err
    assert "\nnoise of a program\n" in ended.err
    assert "the thread 'for-ever', which a plugin began, is left behind" in ended.err

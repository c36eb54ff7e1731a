# ruff: noqa: E501
"""Bad plugins: for every hook at least twelve ways to misbehave, each in a module of one distribution."""

from typing import Final

DISTRIBUTION: Final = "orchestrator-bad"
VERSION: Final = "6.6"

HEAD: Final = """
import asyncio, os, sys, threading, time, random
from orchestrator.spi import *
from orchestrator.spi import hookimpl
from orchestrator.errors import *
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usage, Usd
class Escape(BaseException): ...
"""

_PROVIDER: Final = """
BAD = lambda self, request: request.call.node == "victim" and request.call.role.value == "generator"
class P:
    simulated = True
    def __init__(self, config): self.config = config
    def models(self):
        price = Price(Usd(10**8), Usd(10**8))
        return [ModelInfo(n, self.config.name, n, price, 100000, 4000, slots=(s,)) for n, s in (("m1", "deepseek-chat"), ("m2", "moonshot-v1"))]
    def encode(self, request):
        return Body(("x" * sum(len(m.text) for m in request.messages)).encode(), request)
    async def call(self, body, ctx):
        if BAD(self, body.request):
            return await self.bad(body, ctx)
        texts = {"evaluator": '{"score": 0.95, "reasons": "fine"}', "critic": "fine"}
        return Reply(texts.get(body.request.call.role.value, "x = 1"), Usage(input=5, output=5))
__BODY__
@hookimpl
def orchestrator_provider(config): return __MADE__
"""

_CALLS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "cancels_itself": "raise asyncio.CancelledError",
    "cancels_its_task": "asyncio.current_task().cancel(); await asyncio.sleep(1)",
    "hangs": "await asyncio.Event().wait()",
    "blocks": "time.sleep(0.4); raise ValueError('late')",
    "blocks_for_good": "time.sleep(600)",
    "never_ends": """
        while True:
            try: await asyncio.sleep(1)
            except asyncio.CancelledError: pass""",
    "spins": """
        until = time.monotonic() + 1.5
        while time.monotonic() < until: pass
        raise ValueError('late')""",
    "leaks_a_quitting_task": """
        async def later(): sys.exit(3)
        asyncio.ensure_future(later()); await asyncio.sleep(5)""",
    "changes_its_model": "object.__setattr__(body.request.model, 'price', Price(Usd(1), Usd(1))); return None",
    "stops": "raise StopIteration('odd')",
    "returns_none": "return None",
    "returns_rubbish": "return Reply(7, 'x', 'y')",
    "returns_odd_usage": "return Reply('x', Usage(input=-5, output=10**30), 'y', request_id=object())",
    "returns_no_text_at_all": "return Reply('\\ud800\\x00', Usage(input=1, output=1))",
    "mutates": "body.request.__class__.__setattr__(body, 'content', b''); return None",
    "prints": "print('noise'); raise ProviderError('x', kind=ErrorKind.SERVER)",
    "leaks_tasks": "[asyncio.ensure_future(asyncio.sleep(999)) for _ in range(50)]; raise ValueError('leaky')",
    "leaks_a_failing_task": """
        async def later(): raise ValueError('unseen')
        asyncio.ensure_future(later()); await asyncio.sleep(0.01); raise ValueError('leaky')""",
    "odd_error": "raise ProviderError('x', kind='nonsense', billed='perhaps', retry_after='soon', status='four')",
    "odd_wait": "raise ProviderError('x', kind=ErrorKind.RATE_LIMIT, retry_after=float('nan'), billed=Billed.NO)",
}
_SHAPES: Final = {
    "encode_raises": "def encode(self, request):\n        if BAD(self, request): raise ValueError('no')\n        return P.encode(self, request)",
    "encode_returns_rubbish": "def encode(self, request):\n        return 7 if BAD(self, request) else P.encode(self, request)",
    "encode_hangs": "def encode(self, request):\n        if BAD(self, request): threading.Event().wait()\n        return P.encode(self, request)",
    "encode_quits": "def encode(self, request):\n        if BAD(self, request): sys.exit(1)\n        return P.encode(self, request)",
}


def _provider(name: str) -> str:
    body = (
        f"class Q(P):\n    async def bad(self, body, ctx):\n        {_CALLS[name].strip()}\n"
        if name in _CALLS
        else f"class Q(P):\n    {_SHAPES[name]}\n"
    )
    return HEAD + _PROVIDER.replace("__BODY__", body).replace("__MADE__", "Q(config)")


_VALIDATORS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "hangs": "threading.Event().wait()",
    "returns_none": "return None",
    "returns_rubbish": "return Finding('fine', 7)",
    "returns_an_odd_text": "return Finding.unknown('\\ud800\\x00')",
    "mutates": "candidate.files.clear(); candidate.files.update(x=1); raise ValueError('done')",
    "prints": "print('noise'); sys.stderr.write('noise'); return Finding.unknown('x')",
    "leaks_threads": "[threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for _ in range(20)]; return 7",
    "recurses": "return judge(candidate, context)",
    "asks_too_much": "return context.run(['/bin/true'], {'../x': b'x' * 10})",
    "changes_folder": "os.chdir('.'); raise OSError('x')",
    "is_permanent": "return Finding.unknown('the tests cannot run', permanent=True)",
    "says_a_lot": "return Finding.unknown('x' * 10_000_000)",
}


def _validator(name: str) -> str:
    return HEAD + (
        f"def judge(candidate, context):\n    {_VALIDATORS[name]}\n@hookimpl\ndef orchestrator_validator(): return judge\n"
    )


_BACKENDS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "hangs": "threading.Event().wait()",
    "blocks": "time.sleep(1.3); return []",
    "returns_none": "return None",
    "returns_rubbish": "return [7, 'x', None]",
    "returns_nothing": "return []",
    "returns_one_twice": "return [Ranked(candidates[0].model, 1.0)] * len(candidates)",
    "returns_an_unknown_model": "return [Ranked('unknown', 1.0) for _ in candidates]",
    "returns_nan": "return [Ranked(c.model, float('nan')) for c in candidates]",
    "returns_for_ever": "return (Ranked(c.model, 1.0) for c in iter(lambda: (time.sleep(0.01), candidates[0])[1], None))",
    "mutates": "telemetry.clear(); candidates.clear()",
    "prints": "print('noise'); return None",
    "recurses": "return self.rank(candidates, telemetry, draw)",
    "a_score_that_is_none": "return [Ranked(c.model, None) for c in candidates]",
}


def _backend(name: str) -> str:
    return HEAD + (
        f"class B:\n    def rank(self, candidates, telemetry, draw):\n        {_BACKENDS[name]}\n"
        "@hookimpl\ndef orchestrator_backend(parameters): return B()\n"
    )


_EXPORTERS: Final = {
    "raises": ("raise ValueError('no')", "pass", "pass"),
    "raises_a_base_exception": ("raise Escape('no')", "pass", "pass"),
    "quits": ("sys.exit(3)", "pass", "pass"),
    "interrupts": ("raise KeyboardInterrupt", "pass", "pass"),
    "hangs": ("threading.Event().wait()", "pass", "pass"),
    "observe_raises": ("pass", "raise ValueError('no')", "pass"),
    "observe_quits": ("pass", "sys.exit(1)", "pass"),
    "observe_hangs": ("pass", "threading.Event().wait()", "pass"),
    "close_raises": ("pass", "pass", "raise ValueError('no')"),
    "close_hangs": ("pass", "pass", "threading.Event().wait()"),
    "mutates": ("metrics.models[0].calls_total = 7", "event.data.clear(); raise ValueError('x')", "pass"),
    "prints": ("print('noise'); raise ValueError('noisy')", "pass", "pass"),
    "leaks_threads": ("threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); 1 / 0", "pass", "pass"),
    "recurses": ("self.export(metrics)", "pass", "pass"),
}


def _exporter(name: str) -> str:
    export, observe, close = _EXPORTERS[name]
    return HEAD + (
        f"class E(Exporter):\n    def export(self, metrics):\n        {export}\n    def observe(self, event):\n        {observe}\n"
        f"    def close(self):\n        {close}\n@hookimpl\ndef orchestrator_exporter(config): return E()\n"
    )


_LOADERS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "returns_none": "return None",
    "returns_rubbish": "return 7, 8",
    "returns_one": "return ({},)",
    "returns_three": "return {}, {}, {}",
    "returns_a_list": "return [], {}",
    "returns_objects": "return {'global': object()}, {}",
    "returns_odd_keys": "return {7: None, None: {}}, {}",
    "returns_odd_lines": "return {'global': 7}, {('global',): 'seven', 7: 7}",
    "recurses": "return self.load(text, source)",
    "prints": "print('noise'); raise ValueError('noisy')",
}


def _loader(name: str) -> str:
    return HEAD + (
        f"class L:\n    suffixes = ('.{name}',)\n    def load(self, text, source):\n        {_LOADERS[name]}\n"
        "@hookimpl\ndef orchestrator_policy_loader(): return L()\n"
    )


_SCAFFOLDS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "hangs": "threading.Event().wait()",
    "returns_none": "return None",
    "returns_rubbish": "return Skeleton(7, 8)",
    "returns_bytes": "return Skeleton({'a': b'x'}, 'g')",
    "climbs_out": "return Skeleton({'../../climbed.txt': 'x'}, 'g')",
    "odd_names": "return Skeleton({7: 'x', '': 'x', 'a\\x00b': 'x'}, 'g')",
    "odd_launches": "return Skeleton({'a': 'x'}, 'g', launches=('x', 7))",
    "mutates": "object.__setattr__(app, 'name', '../..'); return Skeleton({app.name: 'x'}, 'g')",
    "prints": "print('noise'); return None",
    "recurses": "return self.skeleton(app)",
    "odd_text": "return Skeleton({'a.txt': '\\ud800'}, '\\ud800')",
}


def _scaffold(name: str) -> str:
    return HEAD + (
        f"class S:\n    def skeleton(self, app):\n        {_SCAFFOLDS[name]}\n"
        "@hookimpl\ndef orchestrator_scaffold(): return S()\n"
    )


_HOOKS: Final = {
    "raises": "raise ValueError('no')",
    "raises_a_base_exception": "raise Escape('no')",
    "quits": "sys.exit(3)",
    "returns_rubbish": "return 7",
    "returns_a_class": "return dict",
    "hangs": "threading.Event().wait()",
}
"""What any hook may do in the place of building its object."""


def _hook(kind: str, name: str) -> str:
    arguments = {"provider": "config", "backend": "parameters", "scorer": "parameters", "exporter": "config"}.get(
        kind, ""
    )
    return HEAD + f"@hookimpl\ndef orchestrator_{kind}({arguments}): {_HOOKS[name]}\n"


_MAKERS: Final = {
    "provider": ((*_CALLS, *_SHAPES), _provider),
    "validator": (tuple(_VALIDATORS), _validator),
    "backend": (tuple(_BACKENDS), _backend),
    "exporter": (tuple(_EXPORTERS), _exporter),
    "policy_loader": (tuple(_LOADERS), _loader),
    "scaffold": (tuple(_SCAFFOLDS), _scaffold),
}
NAMES: Final = {kind: names for kind, (names, _) in _MAKERS.items()}
"""The bad plugins of each kind."""
HOOKS: Final = tuple(_HOOKS)
_OF_HOOKS: Final = (*_MAKERS, "scorer", "executor", "store", "command")
"""What has bad hooks: a command, an executor or a store that misbehaves once it is called is the user's to end."""


def modules() -> dict[str, str]:
    """The source of each bad plugin, by the name of its module."""
    bad = {f"bad_{kind}_{name}": make(name) for kind, (names, make) in _MAKERS.items() for name in names}
    return bad | {f"bad_{kind}_hook_{name}": _hook(kind, name) for kind in _OF_HOOKS for name in _HOOKS}


def entry_points(groups: dict[str, str]) -> dict[str, dict[str, str]]:
    """The entry points of the distribution, by group."""
    points: dict[str, dict[str, str]] = {}
    for kind in _OF_HOOKS:
        every = [*NAMES.get(kind, ()), *(f"hook_{name}" for name in _HOOKS)]
        points[groups[kind]] = {f"bad_{name}": f"bad_{kind}_{name}" for name in every}
    return points

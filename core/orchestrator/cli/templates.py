"""The files of a new plugin's distribution. ``__NAME__`` stands for its name, ``__CLASS__`` for that of its class."""

from collections.abc import Mapping
from typing import Final

_PROJECT: Final = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "__DIST__"
version = "0.1.0"
description = "The __KIND__ __NAME__ for multi-llm-orchestrator."
readme = "README.md"
license = "MIT"
license-files = ["LICENSE"]
requires-python = ">=3.11"
keywords = ["multi-llm-orchestrator", "plugin"]
dependencies = ["multi-llm-orchestrator>=__VERSION__"]

[project.optional-dependencies]
test = ["multi-llm-orchestrator[testing]"]

[project.entry-points."__GROUP__"]
__NAME__ = "__MODULE__"

[tool.hatch.build.targets.wheel]
only-include = ["__MODULE__.py"]

[tool.hatch.build.targets.sdist]
include = ["/__MODULE__.py", "/tests", "/README.md", "/LICENSE"]

[tool.pytest.ini_options]
testpaths = ["tests"]
filterwarnings = ["error"]
"""

_README: Final = """# __DIST__

The __KIND__ `__NAME__` for multi-llm-orchestrator.

    pip install __DIST__
    orchestrate plugins info __NAME__

__WORDS__

```yaml
__USE__
```

Its tests play the contract of its kind. Add your own, then run them:

    pip install ".[test]"
    pytest

It works with the versions of the plugin interface that `orchestrator_interface` in its module names.
"""

_LICENCE: Final = """MIT License

Copyright (c) the authors of __DIST__

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

_IGNORED: Final = """__pycache__/
*.egg-info/
.pytest_cache/
.hypothesis/
.venv/
build/
dist/
"""

_CI: Final = """name: tests
on: [push, pull_request]
permissions:
  contents: read
jobs:
  tests:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.11", "3.12", "3.13"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: ${{ matrix.python }}
      - run: pip install ".[test]"
      - run: pytest
      - run: orchestrate plugins check __DIST__
"""

_PROVIDER: Final = '''"""The provider __NAME__: a gateway that takes one JSON document per call.

Options in a spec: ``base_url``. The key comes from the variable __UPPER___API_KEY.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.spi import (
    Billed,
    Body,
    CallContext,
    ErrorKind,
    Finish,
    ModelInfo,
    Provider,
    ProviderConfig,
    ProviderError,
    Reply,
    Request,
    SpecError,
    Usage,
    hookimpl,
)

if TYPE_CHECKING:
    import httpx

orchestrator_interface = ">=1,<2"

KINDS: Mapping[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    403: ErrorKind.AUTHENTICATION,
    404: ErrorKind.UNKNOWN_MODEL,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
}


class __CLASS__Provider:
    """Calls the gateway. It sends each request once; the program does all retries."""

    simulated = False

    def __init__(self, base_url: str, key: str, models: Sequence[ModelInfo]) -> None:
        self.base_url = base_url
        self._key = key
        self._models = tuple(models)

    def models(self) -> Sequence[ModelInfo]:
        """The models that the spec declares for this provider."""
        return self._models

    def encode(self, request: Request) -> Body:
        """The bytes to send. The most a call can cost is computed from them and from ``max_tokens``."""
        fields = {
            "model": request.model.sent_name,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "messages": [{"role": each.author, "content": each.text} for each in request.messages],
        }
        return Body(json.dumps(fields).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send the bytes. Return the answer, or raise a classified error."""
        import httpx

        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            response = await ctx.http.post(
                f"{self.base_url}/chat", content=body.content, headers=headers, timeout=ctx.timeout
            )
        except httpx.ConnectError as error:  # no other failure proves that nothing was billed
            raise ProviderError("no connection", kind=ErrorKind.CONNECTION, retryable=True, billed=Billed.NO) from error
        except httpx.TimeoutException as error:
            raise ProviderError("no answer in time", kind=ErrorKind.TIMEOUT, retryable=True) from error
        except httpx.HTTPError as error:
            raise ProviderError("the connection broke", kind=ErrorKind.CONNECTION, retryable=True) from error
        if response.status_code != 200:
            raise refusal(response)
        return read(response.content)


def refusal(response: "httpx.Response") -> ProviderError:
    """Classify a status other than 200: whether to retry, and whether it was billed."""
    status, wait = response.status_code, response.headers.get("retry-after", "")
    gave_up = status < 400 or status in (408, 499, 504) or 520 <= status <= 529
    return ProviderError(
        f"the gateway answered {status}",
        kind=KINDS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST),
        retryable=status == 429 or status >= 500,
        retry_after=float(wait) if wait.isdecimal() and len(wait) < 6 else None,
        billed=Billed.UNKNOWN if gave_up else Billed.NO,
        status=status,
    )


def read(content: bytes) -> Reply:
    """Read the reply from a body. Cached tokens are part of ``input`` there, so they are subtracted."""
    try:
        answer: Any = json.loads(content)
        counts = answer["usage"]
        usage = Usage(
            input=counts["input"] - counts.get("cached", 0),
            cached_input=counts.get("cached", 0),
            output=counts["output"],
        )
        finish = Finish.LENGTH if answer.get("stopped") == "length" else Finish.STOP
        return Reply(str(answer["text"]), usage, finish)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ProviderError("the body is no answer", kind=ErrorKind.BAD_ANSWER, retryable=True) from error


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider. Return None without a key or an address."""
    unknown = sorted(set(config.options) - {"base_url"})
    if unknown:
        raise SpecError([f"providers.{config.name}: unknown option {name!r}; it takes base_url" for name in unknown])
    base_url = config.options.get("base_url") or config.variable("__UPPER___BASE_URL")
    key = config.secret("__UPPER___API_KEY")
    if not base_url or not key:
        return None
    return __CLASS__Provider(str(base_url).rstrip("/"), key, config.models)
'''

_PROVIDER_TEST: Final = '''"""The provider keeps the contract, and reads answers correctly."""

from orchestrator.spi import Billed, ErrorKind, Finish, Usage
from orchestrator.testing import ProviderContract, Recording

import __MODULE__

GOOD = b'{"text": "hello", "usage": {"input": 9, "cached": 4, "output": 2}}'
SECOND = b'{"text": "good day", "stopped": "length", "usage": {"input": 7, "output": 3}}'


class Test__CLASS__(ProviderContract):
    """The whole contract. Replace these recordings with answers of your gateway."""

    plugin = __MODULE__
    name = "__NAME__"
    recordings = (
        Recording("hello", 200, {}, GOOD, "hello", usage=Usage(input=5, cached_input=4, output=2)),
        Recording("cut", 200, {}, SECOND, "good day", Finish.LENGTH, Usage(input=7, output=3)),
        Recording("no key", 401, {}, b"{}", error=ErrorKind.AUTHENTICATION, retryable=False, billed=Billed.NO),
    )
'''

_VALIDATOR: Final = '''"""The validator __NAME__: an answer has at most a given number of words.

Settings: ``words``, a whole number; default 100.
"""

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

orchestrator_interface = ">=1,<2"


def check___NAME__(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Count the words. The text of ``failed`` goes to the model that revises."""
    most = context.settings.get("words", 100)
    if not isinstance(most, int) or most < 0:
        return Finding.unknown(f"validators.settings.__NAME__.words: {most!r} is not a whole number of 0 or more")
    words = len(candidate.content.split())
    return Finding.passed() if words <= most else Finding.failed(f"{words} words; use at most {most}")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return check___NAME__
'''

_VALIDATOR_TEST: Final = '''"""The validator keeps the contract, passes good outputs and fails bad ones."""

from collections.abc import Callable

from orchestrator.spi import Candidate, TaskType
from orchestrator.testing import Played, ValidatorContract

import __MODULE__


def output(text: str) -> Candidate:
    """An output of a task."""
    return Candidate("t", TaskType.SUMMARIZATION, text, text)


class Test__CLASS__(ValidatorContract):
    """The whole contract."""

    plugin = __MODULE__
    passing = (output("short"), output("word " * 100))
    failing = (output("word " * 101),)


def test_it_is_the_gate_of_a_run(orchestrate_run: Callable[..., Played]) -> None:
    """A run calls it and records its verdict."""
    tasks = [{"id": "only", "type": "summarization", "prompt": "Sum up.", "hard_validators": ["__NAME__"]}]
    played = orchestrate_run(tasks=tasks)
    assert played.task().gate
'''

_BACKEND: Final = '''"""The backend __NAME__: the best quality for the money among reliable models.

Parameters: ``least_success``, the least share of answered calls, from 0 to 1; default 0.5.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, SpecError, hookimpl

orchestrator_interface = ">=1,<2"


class __CLASS__Backend:
    """A pure function of the measurements. Equal candidates keep the row's order."""

    def __init__(self, least_success: float) -> None:
        self._least = least_success

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first."""
        scores = {each.model: self._score(telemetry[each.model]) for each in candidates}
        row = sorted(candidates, key=lambda each: (-scores[each.model], each.place))
        return [Ranked(each.model, scores[each.model]) for each in row]

    def _score(self, seen: ModelTelemetry) -> float:
        """Quality per cost. Unreliable models rank last."""
        success = number(seen.success_rate, 1.0)
        score = number(seen.quality, 0.5) / (1.0 + max(0.0, number(seen.cost, 0.01)))
        return score if success >= self._least else score - 1e6


def number(value: float | None, otherwise: float) -> float:
    """A measured value, bounded; ``otherwise`` if it was never measured or is not a number."""
    if value is None or not math.isfinite(value):
        return otherwise
    return min(max(value, -1e6), 1e6)


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend from the parameters of a spec."""
    least = parameters.get("least_success", 0.5)
    if set(parameters) - {"least_success"} or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise SpecError(["routing.parameters: __NAME__ takes least_success, a number from 0 to 1"])
    return __CLASS__Backend(float(least))
'''

_BACKEND_TEST: Final = '''"""The backend keeps the contract, alone and in a run."""

from collections.abc import Callable

from orchestrator.testing import BackendContract, Played

import __MODULE__


class Test__CLASS__(BackendContract):
    """The whole contract."""

    plugin = __MODULE__
    options = {"least_success": 0.5}


def test_it_ranks_in_a_run(orchestrate_run: Callable[..., Played]) -> None:
    """A run with this backend succeeds, and the backend never fails."""
    played = orchestrate_run(routing={"backend": "__NAME__"})
    assert played.state.backend_failed is False
    assert played.status == "SUCCESS"
'''

_LOADER: Final = '''"""The policy loader __NAME__: policies as TOML, in files that end in ``.__NAME__``."""

import tomllib
from collections.abc import Mapping
from typing import Any

from orchestrator.spi import Loader, SpecError, hookimpl

orchestrator_interface = ">=1,<2"


class __CLASS__Loader:
    """Reads TOML. The lines of single values are not known."""

    suffixes: tuple[str, ...] = (".__NAME__",)

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """Return the file's mapping, or raise an error that names a line."""
        try:
            return tomllib.loads(text), {}
        except tomllib.TOMLDecodeError as error:
            words = str(error)
            _, _, rest = words.partition("(at line ")
            line = rest.partition(",")[0]
            place = line if line.isdecimal() else str(text.count("\\n") + 1)
            raise SpecError([f"{source}:{place}: {words}"]) from error
        except RecursionError as error:
            raise SpecError([f"{source}:1: the file is nested too deeply"]) from error


@hookimpl
def orchestrator_policy_loader() -> Loader:
    """Return the loader."""
    return __CLASS__Loader()
'''

_LOADER_TEST: Final = '''"""The loader keeps the contract, and reads policies correctly."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.testing import LoaderContract, Played

import __MODULE__

POLICIES = """
[[global]]
name = "eu"
allowed_regions = ["eu"]
"""


class Test__CLASS__(LoaderContract):
    """The whole contract."""

    plugin = __MODULE__
    samples = ((POLICIES, {"global": [{"name": "eu", "allowed_regions": ["eu"]}]}),)


def test_its_policies_bind_a_run(orchestrate_run: Callable[..., Played], tmp_path: Path) -> None:
    """A run obeys the policies of such a file: they allow none of its models."""
    file = tmp_path / "policies.__NAME__"
    file.write_text(POLICIES)
    played = orchestrate_run(policy_files=[str(file)])
    assert played.status == "SYSTEM_FAILURE"
'''

_EXPORTER: Final = '''"""The exporter __NAME__: one line of JSON per export, printed or appended to a file.

Options in a spec: ``path``, the file; without it the lines are printed.
"""

import json
from pathlib import Path

from orchestrator.spi import Exporter, ExporterConfig, Metrics, SpecError, hookimpl

orchestrator_interface = ">=1,<2"


class __CLASS__Exporter(Exporter):
    """Inherits ``observe`` and ``close``: it needs no events and has nothing to close."""

    def __init__(self, config: ExporterConfig, path: Path | None) -> None:
        self._write = config.write
        self._path = path

    def export(self, metrics: Metrics) -> None:
        """Write one line."""
        spent = {each.run: float(each.settled_usd) for each in metrics.runs}
        line = json.dumps({"at": metrics.at, "spent_usd": spent}, ensure_ascii=False)
        if self._path is None:
            self._write(line)
        else:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\\n")


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter. Files are opened later, in ``export``."""
    path = config.options.get("path")
    if set(config.options) - {"path"} or not (path is None or isinstance(path, str)):
        raise SpecError([f"exporters.{config.name}: it takes path, a file name"])
    return __CLASS__Exporter(config, None if path is None else Path(path).expanduser())
'''

_EXPORTER_TEST: Final = '''"""The exporter keeps the contract, and exports a run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from orchestrator.testing import ExporterContract, Played

import __MODULE__


class Test__CLASS__(ExporterContract):
    """The whole contract."""

    plugin = __MODULE__


class Test__CLASS__InAFile(Test__CLASS__):
    """The same with a file."""

    options: ClassVar[Mapping[str, Any]] = {"path": "lines"}


def test_it_exports_a_run(orchestrate_run: Callable[..., Played], tmp_path: Path) -> None:
    """A run with this exporter writes its spend."""
    file = tmp_path / "lines"
    played = orchestrate_run(exporters={"__NAME__": {"path": str(file)}})
    last = json.loads(file.read_text().splitlines()[-1])
    assert last["spent_usd"][played.run] > 0
'''

_SCAFFOLD: Final = '''"""The scaffold __NAME__: a folder of notes with a table of contents."""

from orchestrator.spi import App, Scaffold, Skeleton, hookimpl

orchestrator_interface = ">=1,<2"


class __CLASS__Scaffold:
    """The fixed files of a notes folder; equal arguments give equal files."""

    def skeleton(self, app: App) -> Skeleton:
        """Return the fixed files. A task's file of the same name replaces one of them."""
        title = " ".join(app.title.split())
        return Skeleton(
            files={
                "index.md": f"# {title}\\n\\nEverything else is in `notes/`.\\n",
                "build.py": f"TITLE = {title!r}\\nprint(TITLE.encode('ascii', 'replace').decode())\\n",
            },
            guidance="Write each note as `notes/NAME.md`, with a heading of its own; `index.md` exists already.",
        )


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return __CLASS__Scaffold()
'''

_SCAFFOLD_TEST: Final = '''"""The scaffold keeps the contract, and its files are in an application."""

from collections.abc import Callable

from orchestrator.testing import Played, ScaffoldContract

import __MODULE__


class Test__CLASS__(ScaffoldContract):
    """The whole contract."""

    plugin = __MODULE__


def test_its_files_are_in_an_application(orchestrate_run: Callable[..., Played]) -> None:
    """A run that builds such an application writes the fixed files."""
    played = orchestrate_run(app="__NAME__")
    assert (played.output / "index.md").is_file()
'''

MODULES: Final[Mapping[str, tuple[str, str]]] = {
    "provider": (_PROVIDER, _PROVIDER_TEST),
    "validator": (_VALIDATOR, _VALIDATOR_TEST),
    "backend": (_BACKEND, _BACKEND_TEST),
    "policy_loader": (_LOADER, _LOADER_TEST),
    "exporter": (_EXPORTER, _EXPORTER_TEST),
    "scaffold": (_SCAFFOLD, _SCAFFOLD_TEST),
}
"""By kind: the module and its test."""

_USES: Final[Mapping[str, tuple[str, str]]] = {
    "provider": (
        """In a spec, give its address and declare its models with their prices in US dollars per million tokens. The
key is read from the variable `__UPPER___API_KEY`:""",
        """providers: {__NAME__: {base_url: "https://gateway.example/v1"}}
models:
  - {id: large, provider: __NAME__, price: {input: 0.5, output: 2.0}}
  - {id: small, provider: __NAME__, price: {input: 0.1, output: 0.4}}""",
    ),
    "validator": (
        "In a spec, name it in a task. The number of words is optional:",
        """tasks:
  - {id: summary, type: summarization, prompt: "Sum up the minutes.", hard_validators: [__NAME__]}
validators: {settings: {__NAME__: {words: 80}}}""",
    ),
    "backend": ("In a spec:", "routing: {backend: __NAME__, parameters: {least_success: 0.8}}"),
    "policy_loader": ("In a spec, with the file beside it:", "policy_files: [policies.__NAME__]"),
    "exporter": ("In a spec:", "exporters: {__NAME__: {path: metrics.jsonl}}"),
    "scaffold": ("In a spec; the files are written into its folder:", "app: __NAME__\noutput_dir: out"),
}
"""By kind: what is said of how a spec names it, and the lines of that spec."""


def distribution_files(kind: str, name: str, group: str, version: str = "0.1.0") -> dict[str, str]:
    """The files of a new distribution, by their paths.

    Args:
        kind: one of ``MODULES``.
        name: lower-case words with an underscore between them.
        group: the entry-point group of the kind.
        version: of the program: the oldest that the plugin asks for.
    """
    module, test = MODULES[kind]
    words, use = _USES[kind]
    meanings = {
        "__WORDS__": words,
        "__USE__": use,
        "__VERSION__": version,
        "__DIST__": distribution_name(name),
        "__MODULE__": f"orchestrator_{name}",
        "__CLASS__": "".join(part.capitalize() for part in name.split("_")),
        "__GROUP__": group,
        "__KIND__": kind.replace("_", " "),
        "__UPPER__": name.upper(),
        "__NAME__": name,
    }
    files = {
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        "LICENSE": _LICENCE,
        f"orchestrator_{name}.py": module,
        "tests/test_contract.py": test,
        ".github/workflows/tests.yml": _CI,
        ".gitignore": _IGNORED,
    }
    return {path: _filled(text, meanings) for path, text in files.items()}


def distribution_name(name: str) -> str:
    """What the distribution of a plugin is called."""
    return f"orchestrator-{name.replace('_', '-')}"


def _filled(text: str, meanings: Mapping[str, str]) -> str:
    for word, meaning in meanings.items():
        text = text.replace(word, meaning)
    return text

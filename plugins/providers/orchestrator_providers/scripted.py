"""The provider ``scripted``: answers from a file, so that a whole run needs no key, no network and no money.

::

    providers:
      scripted: {answers: answers.yaml}      # relative to the spec's folder

The file::

    models:                  # what it pretends to sell; left out: three models of three pretended vendors
      - {id: northwind-1, vendor: northwind, price: {input: 0.28, output: 0.42}, slots: [deepseek-chat],
         context: 128000, max_output: 16384, tier: standard}
    delay_ms: 30             # how long every answer takes, unless it says otherwise
    answers:
      - {task: plan, role: decomposer, text: '{"tasks": [...]}'}
      - {task: task_001, role: generator, iteration: 1, text: "..."}
      - {task: task_001, role: generator, model: northwind-1, error: overloaded, retry_after: 2}
      - {role: critic, text: "..."}

An answer belongs to the calls that meet all of its keys among ``task``, ``role``, ``iteration``, ``sample``, ``try``
and ``model`` (a model's id). The answer with the most keys counts, the later one of equals; never the order of calls.
``script`` in the place of ``answers`` is the text of such a file, as a submitted run has it in its log.

A decomposed plan's tasks are named ``task_001``, ``task_002`` … in the plan's order; a given plan keeps its ids.

Beside ``text`` an answer may have ``delay_ms`` and ``usage``: ``none``, or tokens by token class such as
``{input: 100, output: 20}``; left out, four bytes are a token. A text longer than the call's limit is cut and ends
with the finish ``length``, unless the answer has a ``finish`` of its own (``stop``, ``length``). ``error`` is a kind
such as ``overloaded``, ``rate_limit``, ``server`` or ``timeout``, with ``message``, ``status``, ``retry_after``
(seconds), ``retryable`` and ``billed`` (``no``, ``yes`` or ``unknown``) where its usual ones do not fit.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orchestrator.documents import expanded, read_text
from orchestrator.errors import UsageError
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
from orchestrator_providers.answers_file import Failure, Script, read_script
from orchestrator_providers.model_catalogue import overridden

BYTES_PER_TOKEN: Final = 4

orchestrator_contract = {"options": {"script": "answers: [{text: Yes.}]"}}


class Scripted:
    """Pretends to be several vendors; its answers depend on the call alone."""

    simulated = True

    def __init__(self, script: Script, models: Sequence[ModelInfo] = ()) -> None:
        declared = {each.id: each for each in models}
        own = [overridden(each, declared.pop(each.id)) if each.id in declared else each for each in script.models]
        self._models = (*own, *declared.values())
        self._script = script

    def models(self) -> Sequence[ModelInfo]:
        """The pretended models, as the spec overrides and adds to them."""
        return self._models

    def encode(self, request: Request) -> Body:
        """The model, the messages and the limit as compact JSON."""
        fields = {
            "model": request.model.sent_name,
            "messages": [{"role": each.author, "content": each.text} for each in request.messages],
            "max_tokens": request.max_tokens,
        }
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return Body(text.encode("utf-8", "replace"), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Wait as long as the script says, then answer.

        Raises:
            ProviderError: the script says so, or has no answer for this call.
        """
        call, model = body.request.call, body.request.model.id
        answer = self._script.find(call, model)
        if answer is None:
            raise ProviderError(
                f"no scripted answer for task {call.node}, role {call.role.value}, iteration {call.iteration}, "
                f"sample {call.sample}, try {call.try_}, model {model}: add one to the file of answers",
                kind=ErrorKind.BAD_REQUEST,
                billed=Billed.NO,
            )
        await ctx.sleep(answer.delay)
        if answer.failure is not None:
            raise _error(answer.failure)
        sent = answer.text.encode()
        limit = BYTES_PER_TOKEN * body.request.max_tokens if answer.finish is None else len(sent)
        text = sent[:limit].decode(errors="ignore")
        counted = Usage(input=_tokens(body.content), output=_tokens(text.encode()))
        usage = counted if answer.counted else answer.usage
        ctx.on_text(text)
        return Reply(text, usage, answer.finish or (Finish.LENGTH if len(sent) > limit else Finish.STOP))


def _tokens(content: bytes) -> int:
    return -(-len(content) // BYTES_PER_TOKEN)


def _error(failure: Failure) -> ProviderError:
    return ProviderError(
        failure.message,
        kind=failure.kind,
        retryable=failure.retryable,
        retry_after=failure.retry_after,
        billed=failure.billed,
        status=failure.status,
    )


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider from what ``answers`` or ``script`` says; None where a spec does not ask for it."""
    where = f"providers.{config.name}"
    unknown = [str(key) for key in config.options if key not in ("answers", "script")]
    if unknown:
        raise SpecError([f"{where}: unknown option {key!r}; it takes answers or script" for key in unknown])
    script, answers = (config.options.get(key) for key in ("script", "answers"))
    if script is not None:
        if not isinstance(script, str) or answers is not None:
            raise SpecError([f"{where}.script: give the text of a file of answers, in the place of answers"])
        return Scripted(read_script(script, f"{where}.script", config.name), config.models)
    if answers is None:
        return None
    if not isinstance(answers, str) or not answers:
        raise SpecError([f"{where}.answers: give the path of a YAML file, relative to the spec"])
    try:
        path = Path(config.folder) / expanded(answers)
    except UsageError as error:
        raise SpecError([f"{where}.answers: {error}"]) from error
    return Scripted(read_script(read_text(path), str(path), config.name), config.models)

"""Print docs/hooks.md: the hooks as their specifications say. Run: python docs/hooks_reference.py > docs/hooks.md."""

import inspect
import re
import sys
import typing

from orchestrator import spi
from orchestrator.plugin_kinds import KINDS, PluginKind
from orchestrator.spi import hookspecs


def _section(kind: PluginKind) -> str:
    hook = getattr(hookspecs, kind.hook)
    returned = inspect.get_annotations(hook, eval_str=False).get("return", "")
    name = "Validator" if returned is spi.Validator else getattr(returned, "__name__", str(returned))
    deprecated = hook.orchestrator_spec["warn_on_impl"]
    lines = [f"## `{kind.name}`", "", f"Entry-point group `{kind.group}`.", "", "```text"]
    shown = inspect.signature(hook).replace(return_annotation=inspect.Signature.empty)
    lines += [
        f"{kind.hook}{_plain(str(shown))} -> {_plain(name)}",
        "```",
        "",
        inspect.cleandoc(hook.__doc__ or ""),
    ]
    if deprecated is not None:
        lines += ["", f"Deprecated: {deprecated}"]
    possible = [each for each in (typing.get_args(returned) or (returned,)) if each is not type(None)]
    protocol = next((each for each in possible if getattr(each, "_is_protocol", False) or each is spi.Exporter), None)
    if protocol is not None:
        lines += ["", inspect.cleandoc(protocol.__doc__ or ""), ""]
        for member, value in vars(protocol).items():
            function = value.fget if isinstance(value, property) else value
            if member.startswith("_") or not inspect.isfunction(function):
                continue
            signature = "" if isinstance(value, property) else _plain(str(inspect.signature(function)))
            said = " ".join(inspect.cleandoc(function.__doc__ or "").split())
            lines.append(f"* `{member}{signature}`: {said}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """The text without the modules its names come from."""
    return re.sub(r"\b(orchestrator(\.[a-z_]+)+|collections\.abc|typing)\.|'", "", text)


def page() -> str:
    """The whole page."""
    version = ".".join(map(str, spi.INTERFACE))
    head = (
        "# Hooks\n\nWritten by `docs/hooks_reference.py` from the hook specifications in `orchestrator.spi`. "
        f"The interface has version {version}; "
        "[compatibility](plugin-guide.md#compatibility) says what that promises.\n"
    )
    return "\n\n".join([head.rstrip(), *map(_section, KINDS.values())]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

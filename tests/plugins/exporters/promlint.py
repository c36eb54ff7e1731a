"""The rules of ``promtool check metrics`` on a text in the format of Prometheus, for machines without promtool."""

import re
from collections.abc import Iterator
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABELS: Final = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?=[a-zA-Z_])|$)')
_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_ABBREVIATED: Final = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d")
_NOT_BASE: Final = ("minutes", "hours", "days", "weeks", "milliseconds", "microseconds", "bits", "kilobytes", "percent")
_TYPES: Final = ("gauge", "counter", "summary", "histogram", "untyped")


def problems(text: str) -> list[str]:
    """What promtool, or Prometheus itself, would say about the text; nothing where it is clean."""
    found = list(_of_lines(text))
    if text and not text.endswith("\n"):
        found.append("the text does not end with a line feed")
    list(text_string_to_metric_families(text))  # raises what Prometheus's own parser refuses
    about = dict(re.findall(r"^# HELP (\S+) ?(.*)$", text, re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found.extend(f"{name}: {problem}" for problem in _of_family(name, kind, about.get(name, "")))
    return found


def _of_lines(text: str) -> Iterator[str]:
    helped: set[str] = set()
    typed: set[str] = set()
    series: set[str] = set()
    ended: set[str] = set()
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        where = f"line {number}"
        if line.startswith("# "):
            word, name, *rest = line[2:].split(" ", 2)
            known = {"HELP": helped, "TYPE": typed}[word]
            if name in known or name in ended:
                yield f"{where}: {word} of {name} stands twice"
            if word == "TYPE" and (name not in helped or rest[0] not in _TYPES):
                yield f"{where}: TYPE of {name} without HELP, or of no type"
            known.add(name)
            current = _moved(current, name, ended)
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None or not _NAME.fullmatch(sample[1]):
            yield f"{where}: no sample: {line}"
            continue
        current = _moved(current, sample[1], ended)
        labels = sample[2] or ""
        if _LABELS.sub("", labels):
            yield f"{where}: labels of {sample[1]} cannot be read"
        if sample[1] not in typed or sample[1] in ended:
            yield f"{where}: {sample[1]} without a TYPE before it, or apart from its family"
        key = f"{sample[1]}{{{labels}}}"
        if key in series:
            yield f"{where}: {key} stands twice"
        series.add(key)


def _moved(current: str, name: str, ended: set[str]) -> str:
    """The family that the lines are now about; the one before has ended."""
    if current and current != name:
        ended.add(current)
    return name


def _of_family(name: str, kind: str, about: str) -> Iterator[str]:
    if not about:
        yield "no help text"
    if kind == "counter" and not name.endswith("_total"):
        yield "a counter ends in _total"
    if kind != "counter" and name.endswith("_total"):
        yield "only a counter ends in _total"
    if re.search("[a-z][A-Z]", name):
        yield "camel case"
    if ":" in name:
        yield "a colon is for recording rules"
    if name.endswith(("_bucket", "_count", "_sum")):
        yield "a suffix of histograms"
    for part in name.lower().split("_"):
        if part in _ABBREVIATED:
            yield f"abbreviated unit {part!r}"
        if part in _NOT_BASE:
            yield f"{part!r} is no base unit"
        if part in _TYPES:
            yield f"the type {part!r} is in the name"

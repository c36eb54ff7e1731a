import json
import math
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents import MAX_BYTES, load_json, load_yaml, read_document, read_text, read_value
from orchestrator.errors import SpecError
from orchestrator.testing.specs import DATA


def problem(text: str, load: Any = load_yaml) -> str:
    """The one problem of a text."""
    with pytest.raises(SpecError) as caught:
        load(text, "f")
    (line,) = caught.value.problems
    assert "\n" not in line
    return line


def test_yaml_gives_plain_data_and_the_line_of_everything() -> None:
    """Keys and items know their lines; what does not exist has none."""
    document = load_yaml("a: 1\nb:\n  - x\n  - {c: true,\n     d: 2.5}\n'e': |\n  text\n", "f")
    assert document.value == {"a": 1, "b": ["x", {"c": True, "d": 2.5}], "e": "text\n"}
    assert document.line_of(()) == 1
    assert document.line_of(("b",)) == 2
    assert document.line_of(("b", 1)) == 4
    assert document.line_of(("b", 1, "d")) == 5
    assert document.line_of(("e",)) == 6
    assert document.line_of(("b", 2)) is None
    assert document.line_of(("a", "x")) is None


def test_lines_lists_what_line_of_answers() -> None:
    """The mapping of all lines agrees with the question for one."""
    document = load_json('{"a": [1,\n2,\n{"b": null}],\n"c": {}}', "f")
    lines = document.lines()
    assert set(lines) == {(), ("a",), ("a", 0), ("a", 1), ("a", 2), ("a", 2, "b"), ("c",)}
    assert all(document.line_of(path) == line for path, line in lines.items())
    assert lines["a", 1] == 2
    assert lines[("c",)] == 4


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("2026-01-02", "2026-01-02"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("-17", -17),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e", "1e"),
        ("'5'", "5"),
        ("-.inf", -math.inf),
        ("1e999", math.inf),
    ],
)
def test_plain_words_mean_what_the_core_schema_says(written: str, value: object) -> None:
    """Only null, true, false and numbers are anything but text."""
    read = load_yaml(f"a: {written}", "f").value["a"]
    assert read == value
    assert type(read) is type(value)
    assert read_value(written, "f") == value


def test_not_a_number_is_read_as_one_and_keys_stay_text() -> None:
    """``.nan`` is a float, and a key is the text as written."""
    value = load_yaml(".nan: .nan\n1: x\ntrue: y\n", "f").value
    assert list(value) == [".nan", "1", "true"]
    assert math.isnan(value[".nan"])


@pytest.mark.parametrize("load", [load_yaml, load_json])
def test_a_number_beyond_a_float_stays_exact(load: Any) -> None:
    """Digits that a float would lose are kept in a Decimal; an absurd exponent costs nothing."""
    assert load('{"a": 0.1}', "f").value["a"] == 0.1
    exact = load('{"a": 1234567890.123456789}', "f").value["a"]
    assert isinstance(exact, Decimal)
    assert str(exact) == "1234567890.123456789"
    assert load('{"a": 1e-400000000}', "f").value["a"] == 0.0


def test_aliases_give_copies() -> None:
    """An aliased value stands in each place by itself, with the line of the anchor inside."""
    document = load_yaml("a: &x [1]\nb: *x\n", "f")
    assert document.value == {"a": [1], "b": [1]}
    assert document.value["a"] is not document.value["b"]
    assert document.line_of(("b",)) == 2


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """A file saved with a byte-order mark reads like one without."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).value == {"a": 1}


def test_escaped_surrogate_pairs_are_one_character() -> None:
    """JSON's way of writing an emoji means the same in YAML, in keys too."""
    assert load_yaml('{"\\ud83d\\ude00": "\\ud83d\\ude00"}', "f").value == {"😀": "😀"}


def test_the_empty_document_is_nothing() -> None:
    """A file of comments holds None."""
    assert load_yaml("# nothing\n", "f").value is None


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE_YAML = {
    "alias bomb": (BOMB, "f:6: ", "more than 100000 values"),
    "text bomb": (f'a: &a "{"x" * 300_000}"\nb: [{"*a," * 20}]\n', "f:2: ", "more than 4000000 characters"),
    "merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "f:3: ", "merge keys"),
    "itself": ("a: &a\n  - *a\n", "f:2: ", "inside its own anchor"),
    "no anchor": ("a: *b\n", "f:1: ", "no anchor"),
    "deep flow": ("[" * 500_000, "f:1: ", "64 levels"),
    "deep block": ("".join(" " * level + "- \n" for level in range(1000)), "f:65: ", "64 levels"),
    "deep aliases": (
        "a: &a " + "[" * 40 + "]" * 40 + "\nb:\n  " + "[" * 40 + "*a" + "]" * 40 + "\n",
        "f:3: ",
        "64 levels",
    ),
    "python tag": ("x: 1\na: !!python/object/apply:os.system [ls]\n", "f:2: ", "tags"),
    "harmless tag": ("a: !!str 1\n", "f:1: ", "tags"),
    "long tag": ("!" * 900_000, "f:1: ", "tags"),
    "duplicate": ("a: 1\nb: 2\na: 3\n", "f:3: ", "'a' stands here twice"),
    "duplicate below": ("x:\n  - {a: 1, a: 2}\n", "f:2: ", "twice"),
    "list as key": ("[a]: 1\n", "f:1: ", "a key must be a text"),
    "anchored key": ("&a x: 1\n*a : 2\n", "f:1: ", "anchor"),
    "two documents": ("a: 1\n---\nb: 1\n", "f:2: ", "second document"),
    "control character": ("a: 1\nb: \x01\n", "f:2: ", "not allowed in YAML"),
    "half a pair": ('a: "\\ud800"\n', "f:1: ", "no Unicode character"),
    "beyond Unicode": ('a: "\\UFFFFFFFF"\n', "f:1: ", "not YAML"),
    "long number": ("a: " + "9" * 5000, "f:1: ", "too long"),
    "tab": ("a:\n\t- b\n", "f:2: ", "not YAML"),
    "unclosed": ("a: [1,\n", "f:2: ", "not YAML"),
    "many values": ("[" + "0," * 200_000 + "]", "f:1: ", "more than 100000 values"),
}


@pytest.mark.parametrize("case", HOSTILE_YAML)
def test_hostile_yaml_is_refused_in_one_line(case: str) -> None:
    """Whatever is wrong is said with its line."""
    text, start, words = HOSTILE_YAML[case]
    line = problem(text)
    assert line.startswith(start)
    assert words in line
    assert len(line) < 250


HOSTILE_JSON = {
    "empty": ("", "f:1: ", "not JSON"),
    "duplicate": ('{"a": 1,\n"b": 2,\n"a": 3}', "f:3: ", "'a' stands here twice"),
    "not a number": ('{"a":\nNaN}', "f:2: ", "NaN"),
    "infinity": ("[-Infinity]", "f:1: ", "Infinity"),
    "overflow": ("[\n1e999]", "f:2: ", "larger than any"),
    "deep": ("[" * 900_000, "f:1: ", "64 levels"),
    "trailing comma": ('{"a": 1,}', "f:1: ", "double quotes"),
    "single quotes": ("{'a': 1}", "f:1: ", "double quotes"),
    "cut": ('{"a": [1,\n2', "f:2: ", "ends too early"),
    "no colon": ('{"a" 1}', "f:1: ", "expected :"),
    "after the end": ("{}\n{}", "f:2: ", "after the end"),
    "line break in a text": ('{"a": "x\ny"}', "f:1: ", "not JSON"),
    "half a pair": ('["\\ud800"]', "f:1: ", "no Unicode character"),
    "long number": ("[" + "9" * 5000 + "]", "f:1: ", "too long"),
    "many values": ("[" + "0," * 200_000 + "0]", "f:1: ", "more than 100000 values"),
    "a word": ("nul", "f:1: ", "not JSON"),
}


@pytest.mark.parametrize("case", HOSTILE_JSON)
def test_hostile_json_is_refused_in_one_line(case: str) -> None:
    """Whatever is wrong is said with its line."""
    text, start, words = HOSTILE_JSON[case]
    line = problem(text, load_json)
    assert line.startswith(start)
    assert words in line
    assert len(line) < 250


def test_depth_and_number_at_the_bounds_are_read() -> None:
    """64 levels and 100,000 values are not too many."""
    nested = "[" * 64 + "]" * 64
    assert load_yaml(nested, "f").value == load_json(nested, "f").value
    assert len(load_json("[" + "0," * 99_998 + "0]", "f").value) == 99_999


def refused(path: Path) -> str:
    """The one problem of a file that is refused."""
    with pytest.raises(SpecError) as caught:
        read_text(path)
    (line,) = caught.value.problems
    return line.removeprefix(str(path))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Folders, pipes without a writer, devices and missing files are refused at once."""
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path) == ":1: this is a folder; name a file"
    assert "a device or a pipe" in refused(tmp_path / "fifo")
    assert "a device or a pipe" in refused(Path("/dev/zero"))
    assert "No such file" in refused(tmp_path / "none.yaml")
    assert "cannot be read" in refused(tmp_path / "nul\0.yaml") or os.name == "nt"


def test_the_size_is_bounded(tmp_path: Path) -> None:
    """1 MB is read, a byte more is not, and neither is a sparse gigabyte."""
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(path)) == MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "larger than 1000000 bytes" in refused(path)
    os.truncate(path, 1 << 30)
    assert "larger than 1000000 bytes" in refused(path)


def test_invalid_utf8_is_refused_at_its_line(tmp_path: Path) -> None:
    """The line of the first bad byte is named."""
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    assert refused(path).startswith(":2: the file is not valid UTF-8")


def test_quoted_and_bracketed_flag_values_are_yaml() -> None:
    """A flag's value can be a text that looks like a number, a list or a mapping; other texts are taken as they are."""
    assert read_value("'5'", "f") == "5"
    assert read_value("[eu, us]", "f") == ["eu", "us"]
    assert read_value("{a: 1}", "f") == {"a": 1}
    assert read_value("a: b # c", "f") == "a: b # c"
    with pytest.raises(SpecError):
        read_value("[", "f")
    with pytest.raises(SpecError):
        read_value("9" * 500, "f")


@given(DATA)
def test_json_and_yaml_read_what_json_wrote(data: Any) -> None:
    """Any data comes back equal from both readers."""
    text = json.dumps(data)
    assert load_json(text, "f").value == data
    assert load_yaml(text, "f").value == data


@given(st.text(st.characters(), max_size=60) | st.text("[]{}:,-?&*!|>'\"%@`#\\ \n\tax0.~<", max_size=40))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    """Nothing but a SpecError comes out, and each of its problems names a line."""
    for load in (load_yaml, load_json):
        problems: tuple[str, ...] = ()
        try:
            load(text, "f")
        except SpecError as error:
            problems = error.problems
        assert all(re.fullmatch(r"f:[1-9][0-9]*: .+", line) for line in problems)


def test_nothing_hostile_takes_much_memory(tmp_path: Path) -> None:
    """A process that may use 400 MB reads or refuses every hostile text of this file."""
    pytest.importorskip("resource")
    cases = [text for text, _, _ in (*HOSTILE_YAML.values(), *HOSTILE_JSON.values())]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    program = (
        "import json, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "from orchestrator.documents import load_json, load_yaml\n"
        "from orchestrator.errors import SpecError\n"
        "for text in json.load(open(sys.argv[1])):\n"
        "    for load in (load_yaml, load_json):\n"
        "        try:\n"
        "            load(text, 'f')\n"
        "        except SpecError:\n"
        "            print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "cases.json")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) >= len(cases)


def test_the_yaml_library_is_imported_only_when_yaml_is_read() -> None:
    """A program that reads no YAML does not pay for importing the library."""
    program = "import sys, orchestrator.documents, orchestrator.spec; print('ruamel' in str(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

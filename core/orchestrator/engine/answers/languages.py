"""The languages that models label their blocks with, and the endings of their files."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BY_SUFFIX: Final[Mapping[str, str]] = {
    ".adoc": "adoc asciidoc",
    ".asm": "asm assembly nasm",
    ".awk": "awk",
    ".bat": "bat batch cmd dos",
    ".c": "c",
    ".clj": "clojure clj",
    ".cmake": "cmake",
    ".cob": "cobol",
    ".coffee": "coffee coffeescript",
    ".conf": "apache conf nginx",
    ".cpp": "c++ cc cpp cxx",
    ".cr": "crystal",
    ".cs": "c# cs csharp",
    ".css": "css",
    ".csv": "csv",
    ".cu": "cuda",
    ".d": "d dlang",
    ".dart": "dart",
    ".diff": "diff patch",
    ".dockerfile": "docker dockerfile",
    ".env": "dotenv env",
    ".erl": "erlang",
    ".ex": "elixir ex",
    ".exs": "exs",
    ".f90": "f90 fortran",
    ".fish": "fish",
    ".fs": "f# fs fsharp",
    ".go": "go golang",
    ".gql": "gql graphql",
    ".groovy": "groovy",
    ".gradle": "gradle",
    ".h": "h header",
    ".hpp": "h++ hpp",
    ".hs": "haskell hs",
    ".html": "htm html html5 xhtml",
    ".ini": "cfg ini",
    ".java": "java",
    ".jinja": "django jinja jinja2 j2",
    ".jl": "jl julia",
    ".js": "ecmascript javascript js mjs node nodejs",
    ".json": "json json5 jsonc",
    ".jsonl": "jsonl ndjson",
    ".jsx": "jsx",
    ".kt": "kotlin kt kts",
    ".less": "less",
    ".lisp": "commonlisp lisp",
    ".lua": "lua",
    ".m": "matlab objc objective-c objectivec octave",
    ".md": "markdown md mdx",
    ".mk": "make makefile mk",
    ".ml": "ml ocaml",
    ".mmd": "mermaid",
    ".nim": "nim",
    ".nix": "nix",
    ".pas": "delphi pascal",
    ".php": "php",
    ".pl": "perl pl",
    ".properties": "properties",
    ".proto": "proto protobuf",
    ".ps1": "posh powershell ps1 pwsh",
    ".puml": "plantuml puml",
    ".py": "py py3 python python2 python3",
    ".pyi": "pyi",
    ".pyx": "cython pyx",
    ".r": "r rscript",
    ".rb": "rb ruby",
    ".rkt": "racket",
    ".rs": "rs rust",
    ".rst": "rest restructuredtext rst",
    ".sass": "sass",
    ".scala": "scala",
    ".scm": "scheme",
    ".scss": "scss",
    ".sh": "bash ksh sh shell zsh",
    ".sol": "sol solidity",
    ".sql": "mysql plpgsql plsql postgres postgresql psql sql sqlite tsql",
    ".sv": "sv systemverilog",
    ".svelte": "svelte",
    ".svg": "svg",
    ".swift": "swift",
    ".tcl": "tcl",
    ".tex": "latex tex",
    ".tf": "hcl terraform tf",
    ".toml": "toml",
    ".ts": "ts typescript",
    ".tsv": "tsv",
    ".tsx": "tsx",
    ".v": "verilog",
    ".vb": "vb vbnet visualbasic",
    ".vhd": "vhdl",
    ".vim": "vim viml vimscript",
    ".vue": "vue",
    ".wat": "wasm wat",
    ".xml": "xml xsd xsl xslt",
    ".yaml": "yaml yml",
    ".zig": "zig",
}

SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {language: suffix for suffix, languages in _BY_SUFFIX.items() for language in languages.split()}
)
"""By a language's name in lower case, the ending of its files."""

ENDINGS: Final = frozenset(
    {
        *_BY_SUFFIX,
        *(".bash", ".cc", ".cfg", ".cjs", ".cxx", ".ejs", ".example", ".gitignore", ".hbs", ".htm", ".ipynb", ".kts"),
        *(".lock", ".mdx", ".mjs", ".mod", ".pgsql", ".rscript", ".sample", ".sum", ".template", ".text", ".txt"),
        *(".webmanifest", ".yml", ".zsh"),
    }
)
"""Endings that make a word in a sentence a file's name."""

DEFAULT: Final = ".py"
"""Of a block that says no language."""

UNKNOWN: Final = ".txt"
"""Of a block in a language that is not known."""


def suffix_of(language: str) -> str:
    """The ending of a file in a language; ``.txt`` where it is not known, ``.py`` where nothing is said."""
    return SUFFIXES.get(language, UNKNOWN) if language else DEFAULT

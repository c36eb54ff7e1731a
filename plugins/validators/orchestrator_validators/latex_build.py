"""The validator ``latex``: pdflatex makes a PDF of the content. TeX is a programming language: it is run contained."""

import re
from typing import Final

from orchestrator.documents import fenced_blocks
from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

_SECONDS: Final = 30.0
_ERRORS: Final = 10
_OPTIONS: Final = ("-no-shell-escape", "-interaction=batchmode", "-halt-on-error", "output.tex")
_LABEL: Final = re.compile(r"(?:la)?tex\b", re.IGNORECASE)
_BEFORE: Final = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
_AFTER: Final = "\n\\end{document}\n"


def latex_build(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Compile the LaTeX in the output; what is no document is put into one."""
    pdflatex = check.tool("pdflatex")
    if pdflatex is None:
        return Finding.skipped("pdflatex is not installed: apt-get install texlive-latex-base")
    source = _source(candidate)
    if not source.strip():
        return Finding.failed("there is no LaTeX in the output")
    seconds = min(_SECONDS, check.timeout)
    beside = {name: text.encode(errors="replace") for name, text in candidate.dependencies.items()}
    files = {**beside, "output.tex": source.encode(errors="replace")}
    ran = check.run((pdflatex, *_OPTIONS), files, take=("output.pdf", "output.log"), seconds=seconds)
    if ran.ended:
        return Finding.unknown(f"pdflatex was ended ({ran.ended}) after {seconds:g} s")
    if ran.code == 0 and ran.files.get("output.pdf", b"").startswith(b"%PDF-"):
        return Finding.passed()
    log = ran.files.get("output.log", b"").decode(errors="replace")
    return Finding.failed(_errors(log) or f"pdflatex made no PDF (status {ran.code}): {ran.output.strip()[-500:]}")


def _source(candidate: Candidate) -> str:
    """The LaTeX of what is delivered: a file of it, else the longest block of it, else the whole."""
    whole = next((text for name, text in candidate.files.items() if name.endswith(".tex")), candidate.content)
    labelled = (block.content for block in fenced_blocks(whole) if _LABEL.match(block.info))
    found = max(labelled, key=len, default=whole)
    is_document = "\\documentclass" in found or not found.strip()
    return found if is_document else f"{_BEFORE}{found}{_AFTER}"


def _errors(log: str) -> str:
    """The errors of a log: each with the line it names."""
    lines, found = log.splitlines(), []
    for number, line in enumerate(lines):
        if line.startswith("!"):
            where = next((each for each in lines[number + 1 : number + 8] if each.startswith("l.")), "")
            found.append(f"{line[1:].strip()} {where}".strip()[:300])
    return "\n".join(found[:_ERRORS])


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return latex_build

"""The Python files of an output, as the validators that judge code see them."""

from pathlib import PurePosixPath

from orchestrator.spi import Candidate
from orchestrator.suites import within


def python_files(candidate: Candidate) -> dict[str, str]:
    """The output's Python files by their names below its own folder; its one content where it names no files."""
    if len(candidate.files) < 2:
        name = next((PurePosixPath(name).name for name in candidate.files if name.endswith(".py")), "output.py")
        return {name: candidate.content}
    return {name: source for name, source in within(candidate.files).items() if name.endswith(".py")}

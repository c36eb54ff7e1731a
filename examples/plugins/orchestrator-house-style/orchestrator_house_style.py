"""The validator house_style: Python code passes the linter with the house rules.

Settings: ``select``, the linter's rules; ``["E", "F", "D1"]`` by default.
"""

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

orchestrator_interface = ">=1,<2"

LINES = 20


def house_style(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Lint every Python file of the answer. The linter only reads the code, so it also runs without a sandbox."""
    linter = context.tool("ruff")
    if linter is None:
        return Finding.skipped("ruff is not installed: pip install ruff")
    files = {name: text.encode(errors="replace") for name, text in candidate.files.items() if name.endswith(".py")}
    select = ",".join(map(str, context.settings.get("select", ["E", "F", "D1"])))
    command = (linter, "check", "--isolated", "--no-cache", "--quiet", f"--select={select}", "--output-format=concise")
    ran = context.run((*command, "--", *files), files, seconds=min(15.0, context.timeout), executes=False)
    if ran.ended or ran.code not in (0, 1):
        return Finding.unknown(f"ruff ended with {ran.ended or ran.code}: {ran.output[:500]}")
    lines = ran.output.strip().splitlines()[:LINES]
    return Finding.passed() if ran.code == 0 else Finding.failed("\n".join(lines) or "ruff found something")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return house_style

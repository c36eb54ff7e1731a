"""Running what models wrote in a sandbox, at the best level whose probe holds on this machine.

Every level gives a clean environment, a session of its own, limits, an unprivileged user where the program is root, a
temporary folder, a deadline, bounded output and the end of whatever it started. ``docs/validators.md`` says what each
level adds.
"""

from orchestrator_sandbox.level_selection import LevelSelector

__all__ = ["LevelSelector"]

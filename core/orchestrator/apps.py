"""``AppBuilder``: from a sentence to an application that was put together, tested and started.

The package of the command ``build`` brings these names; type checkers read ``apps.pyi``.
"""

from orchestrator.plugins.parts import names_of_part

__all__ = ["AppBuilder", "AppResult", "Assembly", "Step"]  # noqa: F822

__getattr__ = names_of_part("apps")

"""Several orchestrators side by side, which of them did best, and what they measured together.

The package of the command ``pool`` brings these names; type checkers read ``agents.pyi``.
"""

from orchestrator.plugins.parts import names_of_part

__all__ = ["AgentPool", "Results", "TaskChannel", "best_of", "mean_score", "merge_profiles"]  # noqa: F822

__getattr__ = names_of_part("agents")

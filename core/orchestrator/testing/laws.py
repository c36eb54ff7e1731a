"""The laws of one run; they live in ``orchestrator.audits``, where ``audit verify`` uses them too."""

from orchestrator.audits.laws import Laws, broken_laws

__all__ = ["Laws", "broken_laws"]

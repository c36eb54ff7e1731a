"""What policies did, read from the log.

    from orchestrator.audit import AuditLog

    AuditLog().flush_jsonl("audit.jsonl")           # the newest run of the data folder

The package of the command ``audit`` brings these names; type checkers read ``audit.pyi``.
"""

from orchestrator.plugins.parts import names_of_part

__all__ = ["AuditLog", "AuditRecord", "records_of"]  # noqa: F822 - found by __getattr__

__getattr__ = names_of_part("audit_log")

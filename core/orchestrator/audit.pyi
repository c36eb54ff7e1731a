from orchestrator_audit.audit_log import AuditLog as AuditLog
from orchestrator_audit.audit_log import AuditRecord as AuditRecord
from orchestrator_audit.audit_log import records_of as records_of

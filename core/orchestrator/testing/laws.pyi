from orchestrator_audit.accounts import History as History
from orchestrator_audit.accounts import broken_accounts as broken_accounts
from orchestrator_audit.laws import Laws as Laws
from orchestrator_audit.laws import broken_laws as broken_laws
from orchestrator_audit.shadow_state import Call as Call
from orchestrator_audit.shadow_state import key_of as key_of

from orchestrator_audit.laws.accounts import History as History
from orchestrator_audit.laws.accounts import broken_accounts as broken_accounts
from orchestrator_audit.laws.run_laws import Laws as Laws
from orchestrator_audit.laws.run_laws import broken_laws as broken_laws
from orchestrator_audit.laws.shadow_state import Call as Call
from orchestrator_audit.laws.shadow_state import key_of as key_of

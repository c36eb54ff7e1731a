"""The laws of runs and of accounts, which ``audit verify`` checks too: the package of that command brings them."""

from orchestrator.plugins import part

__all__ = ["Call", "History", "Laws", "broken_accounts", "broken_laws", "key_of"]

_laws = part("laws")
Laws, broken_laws = _laws.Laws, _laws.broken_laws
History, broken_accounts = _laws.History, _laws.broken_accounts
Call, key_of = _laws.Call, _laws.key_of

"""Streams of events: stored in a database, hash-chained, with texts apart. What they mean is above, in ``ledger``.

Names are loaded on first use; reading a log needs no more than reading takes.
"""

from typing import TYPE_CHECKING

from orchestrator.lazy_names import lazy_names

if TYPE_CHECKING:
    from orchestrator.log.chain import GENESIS, LogFinding, verify
    from orchestrator.log.codec import Codec, decode, encode
    from orchestrator.log.heads import Head, append_head, read_heads, unreadable_lines
    from orchestrator.log.locks import FileLocks, Handle, Locks, MemoryLocks, TransactionLock, no_lock
    from orchestrator.log.protocol import Store
    from orchestrator.log.redaction import Redactor
    from orchestrator.log.sqlite.connections import DATABASE, configure
    from orchestrator.log.sqlite.schema import create
    from orchestrator.log.stored_rows import Last, Select
    from orchestrator.log.texts import Texts
    from orchestrator.log.transaction import Recorded

_HOMES = {
    "DATABASE": "sqlite.connections",
    "GENESIS": "chain",
    "Codec": "codec",
    "FileLocks": "locks",
    "LogFinding": "chain",
    "Handle": "locks",
    "Head": "heads",
    "Last": "stored_rows",
    "Locks": "locks",
    "MemoryLocks": "locks",
    "Recorded": "transaction",
    "Redactor": "redaction",
    "Select": "stored_rows",
    "Store": "protocol",
    "Texts": "texts",
    "TransactionLock": "locks",
    "append_head": "heads",
    "configure": "sqlite.connections",
    "create": "sqlite.schema",
    "decode": "codec",
    "encode": "codec",
    "no_lock": "locks",
    "read_heads": "heads",
    "unreadable_lines": "heads",
    "verify": "chain",
}

__all__ = [
    "DATABASE",
    "GENESIS",
    "Codec",
    "FileLocks",
    "Handle",
    "Head",
    "Last",
    "Locks",
    "LogFinding",
    "MemoryLocks",
    "Recorded",
    "Redactor",
    "Select",
    "Store",
    "Texts",
    "TransactionLock",
    "append_head",
    "configure",
    "create",
    "decode",
    "encode",
    "no_lock",
    "read_heads",
    "unreadable_lines",
    "verify",
]


__getattr__ = lazy_names(__name__, _HOMES, "orchestrator.log.")

"""The store in a file of SQLite."""

from orchestrator.log.sqlite.connections import DATABASE, configure, database_of, is_database
from orchestrator.log.sqlite.schema import create
from orchestrator.log.sqlite.store import SqliteStore

__all__ = ["DATABASE", "SqliteStore", "configure", "create", "database_of", "is_database"]

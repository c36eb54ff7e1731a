"""Event logs on PostgreSQL: the store that ``postgresql://`` names."""

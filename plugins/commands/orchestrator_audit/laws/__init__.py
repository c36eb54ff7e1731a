"""The laws of a run and of the accounts above it, checked event by event; each module has those of one subject."""

"""Runs for workers: submitting them, the processes that play them, and what starts those."""

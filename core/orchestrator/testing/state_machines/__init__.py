"""Hypothesis state machines: the laws of accounts, budgets, routing and runs against the real code."""

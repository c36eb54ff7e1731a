"""Approval points, answers from other processes, edited and patched plans."""

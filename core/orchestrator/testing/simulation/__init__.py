"""Whole runs in virtual time: a world drawn from a seed, a vendor that only pretends, processes that die."""

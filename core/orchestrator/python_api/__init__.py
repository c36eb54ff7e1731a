"""Runs from Python: a data folder as a workspace, a run as a handle to await, follow, steer and answer."""

"""For authors of plugins and rules: strategies, a simulated vendor, and a deterministic simulator of whole runs.

Needs the extra ``testing``.
"""

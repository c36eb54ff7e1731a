"""The benchmark of quality: its problems, its grading, its figures, and a round against a local server."""

"""The report: a run as one page that needs nothing else.

Read ``page`` first; ``calls``, ``graph``, ``work`` and ``choices`` each draw one part of it from the history. What a
model wrote reaches the page as text only: through a template that escapes, or as data that the page's script sets as
the text of an element.
"""

from orchestrator_insight.report.page import Facts, render

__all__ = ["Facts", "render"]

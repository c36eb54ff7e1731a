"""A plugin whose author forgot a dependency."""

from orchestrator_broken import a_missing_module  # noqa: F401 - the mistake this distribution is for

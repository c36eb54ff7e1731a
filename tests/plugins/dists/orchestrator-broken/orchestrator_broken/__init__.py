"""A plugin whose author forgot a dependency."""

from orchestrator_broken import a_module_nobody_wrote  # noqa: F401 - the mistake this distribution is for

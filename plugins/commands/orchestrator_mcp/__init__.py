"""The command ``mcp``: runs, their reasons and their costs as tools of the Model Context Protocol."""

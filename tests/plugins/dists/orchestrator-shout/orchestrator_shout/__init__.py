"""A stranger's plugins that work."""

"""The built-in policy loaders; each is found by its entry point, like a third-party one."""

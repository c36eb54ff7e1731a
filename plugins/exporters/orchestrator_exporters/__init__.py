"""The built-in metrics exporters; each is found by its entry point, like a third-party one."""

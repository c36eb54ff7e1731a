"""The built-in backends; each is found by its entry point, like a third-party one."""

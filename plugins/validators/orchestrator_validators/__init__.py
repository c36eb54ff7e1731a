"""The built-in validators; each is found by its entry point, like a third-party one."""

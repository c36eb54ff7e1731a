"""The built-in providers; each is found by its entry point, like a third-party one."""

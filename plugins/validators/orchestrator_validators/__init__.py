"""The built-in validators; each is found by its entry point, like anybody's."""

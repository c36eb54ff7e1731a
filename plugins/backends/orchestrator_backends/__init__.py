"""The built-in backends; each is found by its entry point, like anybody's."""

"""The built-in metrics exporters; each is found by its entry point, like anybody's."""

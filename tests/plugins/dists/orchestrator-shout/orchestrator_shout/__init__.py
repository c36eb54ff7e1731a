"""Third-party plugins that work."""

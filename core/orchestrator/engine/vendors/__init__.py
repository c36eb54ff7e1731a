"""Reaching vendors: which providers a session has, the one HTTP client, and the isolation of third-party ones."""

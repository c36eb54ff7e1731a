"""Reaching vendors: which providers a session has, the one HTTP client, and strangers kept apart."""

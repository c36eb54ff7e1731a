"""Exporters for tests."""

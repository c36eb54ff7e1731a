"""Bundles: files that hold a run each, made, signed, checked, read back, and in the place of an archived run."""

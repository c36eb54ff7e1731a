"""The built-in scorers, one module each."""

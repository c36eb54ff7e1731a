"""The audit: what must hold of every log, as named checks, and what a log proves without its database."""

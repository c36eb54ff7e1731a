"""What counts as a secret."""

from typing import Final

SHORTEST_SECRET: Final = 8
"""Characters a key must have to be taken out of texts; shorter ones would eat ordinary words."""

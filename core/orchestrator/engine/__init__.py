"""The hands: the loop that takes steps, and the effects it performs between them."""

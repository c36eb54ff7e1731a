"""The stores that come with the program, as plugins."""

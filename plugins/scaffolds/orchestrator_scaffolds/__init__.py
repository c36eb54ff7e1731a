"""The built-in scaffolds: what an application of each type begins with."""

"""Commands with which a person steers a run from another process."""

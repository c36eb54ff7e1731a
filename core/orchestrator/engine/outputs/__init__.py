"""What a run leaves: files in one folder, none outside it, and whether the whole holds."""

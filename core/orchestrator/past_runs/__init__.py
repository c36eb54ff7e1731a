"""What the log tells of runs: which there are, how they are named, what they spent, asked and answered."""

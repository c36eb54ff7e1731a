"""What is asked and what comes back: prompts, answers read by pure functions, answers that are used again."""

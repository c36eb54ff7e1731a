"""What is shown while runs go on, and of how they ended."""

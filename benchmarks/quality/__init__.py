"""What the review loop is worth: problems with hidden tests, solved by the product in several arms."""

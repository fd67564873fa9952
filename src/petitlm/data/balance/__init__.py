"""Balance: the grid of category, language and difficulty, its gaps, and records made for them alone."""

"""The half of looking that needs torch: gradients, and what is learned from values."""

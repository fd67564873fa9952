"""The half of the zoo that needs torch: models of it on torch layers, and those that are trained on the spot."""

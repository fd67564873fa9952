"""Reports: numbers with their conditions."""

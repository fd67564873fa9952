"""Quality: language, labels, filters, a fast classifier, and personal data masked."""

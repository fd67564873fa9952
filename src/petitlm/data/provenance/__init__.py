"""Provenance: from a token, a document, a licence or a text to where it comes from; cards; verification."""

"""Tokens: documents as files of token ids, with the span of each document; other layouts; search in them."""

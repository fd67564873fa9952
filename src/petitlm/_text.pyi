"""Kernels over text and token ids (kernels/text)."""

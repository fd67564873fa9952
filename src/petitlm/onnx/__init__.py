"""ONNX graphs: `petitlm.decoder.forward` run on symbols, for ONNX Runtime on phones and in browsers.

Needs the `onnx` package: install petitlm[onnx].
"""

from __future__ import annotations

from petitlm.onnx.writing import export_onnx

__all__ = ["export_onnx"]

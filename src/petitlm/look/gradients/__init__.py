"""The half of looking that needs torch: gradients, and what is learned from values."""

from petitlm.look.gradients.running import run

__all__ = ["run"]

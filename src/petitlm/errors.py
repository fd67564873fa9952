"""The errors that a user of petit can cause.

Each message says what was wrong, with which value, and what to do. The command line prints it
as one sentence and ends with `exit_code`; it never shows a traceback for one of these.
"""


class PetitError(Exception):
    """Base of every error that petit raises on purpose."""

    exit_code = 1


class UsageError(PetitError):
    """An argument, a name or a combination that petit cannot honour."""

    exit_code = 2


class ConfigError(UsageError):
    """A model or run configuration that contradicts itself."""


class ShapeError(UsageError):
    """An array or tensor of the wrong shape or type."""


class ContextError(UsageError):
    """A prompt and its answer do not fit in the model's context."""


class NotFoundError(PetitError):
    """A file, folder, model or tensor that is not there."""

    exit_code = 3


class DoesNotFitError(PetitError):
    """More memory is needed than this machine has available."""

    exit_code = 4


class DamagedError(PetitError):
    """A file that is truncated, inconsistent or not what it says it is."""

    exit_code = 5


class RefusedError(PetitError):
    """Something petit will not do, such as reading a pickle."""

    exit_code = 6

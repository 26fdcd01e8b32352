"""Errors that a user can fix. Any other exception is a bug and is shown as a traceback."""


class UserError(ValueError):
    """Invalid input. The message is one line that names the file or key and the remedy.

    Each sub-class also inherits the built-in exception that a Python program would expect.
    """


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder does not exist."""


class MissingMaskError(MissingFileError):
    """Foreground masks, or their folder, do not exist."""


class FileTakenError(UserError, FileExistsError):
    """A file exists already and would be overwritten."""


class WriteError(UserError, OSError):
    """A file cannot be written."""


class MissingPackageError(UserError, ImportError):
    """A package is not installed or its version is not supported."""


class NotReadyError(UserError, RuntimeError):
    """A required step was not done before, such as setting the class names."""


class DivergenceError(UserError, FloatingPointError):
    """A loss or a parameter is not finite."""

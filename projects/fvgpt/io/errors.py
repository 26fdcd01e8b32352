"""Errors that a user can correct. Everything else that is raised is a bug, and stays a traceback."""


class UserError(ValueError):
    """Wrong input. The message is one line: it names the file or key, and the remedy.

    The sub-classes are also the built-in errors that a Python program would expect in their place.
    """


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder does not exist."""


class FileTakenError(UserError, FileExistsError):
    """A file exists already and would be overwritten."""


class WriteError(UserError, OSError):
    """A file cannot be written."""


class MissingPackageError(UserError, ImportError):
    """A package is not installed, or has a version that is not supported."""


class NotReadyError(UserError, RuntimeError):
    """Something else has to be done first, such as setting the class names."""


class DivergenceError(UserError, FloatingPointError):
    """A loss or a parameter is not a finite number."""

"""The error that a user can mend."""


class UserError(Exception):
    """A mistake in the input, told in one line that names the remedy; the commands print it without a traceback."""

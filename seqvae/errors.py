"""The one exception for mistakes that a user can mend."""


class InputError(ValueError):
    """A mistake in what the user gave: what, where, the offending value, the remedy, in one line.

    The command line prints it and leaves with code 2. Every other exception is a bug of ours and
    keeps its traceback.
    """

"""What is raised for the user's sake: each error is one sentence, what is wrong and what to do.

What is raised about bytes is in diffcodec.bitstream.errors.
"""


class OptionError(ValueError):
    """An option of the codec that does not exist or cannot be met."""


class ImageError(ValueError):
    """An image that cannot be read or written exactly; says what is in the way and what to do."""


class DataError(ValueError):
    """Images that cannot be trained on or measured."""


class CheckpointError(ValueError):
    """A network's file that cannot be used: absent, damaged, altered, or of the wrong kind."""


class RecipeError(ValueError):
    """A recipe that cannot be read, or whose fields do not fit together."""

"""What is raised for the user's sake: each error is one sentence, what is wrong and what to do.

What is raised about bytes is in diffcodec.bitstream.errors.
"""

import os


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


class WorkerError(ValueError):
    """Processes or machines that jobs run on, and that are not there or died."""


def sentence(error: BaseException) -> str | None:
    """What to tell the user about an error; None about a fault of the program.

    For the user's sake are errors of these classes and of others in this package, of the system,
    and a lack of memory.
    """
    if isinstance(error, OSError):
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)}: {error.strerror or error.args[0]}"
        return error.strerror or str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    if isinstance(error, RuntimeError):  # torch has no class of its own for this on the CPU
        return "there is not enough memory for this" if "memory" in str(error) else None
    if type(error) is FloatingPointError:  # of training
        return str(error)
    ours = type(error).__module__.startswith("diffcodec.")
    return str(error) if ours and isinstance(error, ValueError | ArithmeticError) else None

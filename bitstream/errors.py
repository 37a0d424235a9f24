"""What is raised about bytes: each error is one sentence that a user reads."""


class BitstreamError(ValueError):
    """Not a .dfc file, an unsupported version, a damaged file or a hostile header."""


class IncompleteHeader(BitstreamError):
    """The file was cut inside its header: there is no image in it."""

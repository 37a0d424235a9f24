"""What is raised about bytes: each error is one sentence that a user reads."""


class BitstreamError(ValueError):
    """Not a .dfc file, an unsupported version, a damaged file or a hostile header."""


class Damaged(BitstreamError):
    """A payload that makes no sense; at: the byte of it from which on it does not."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.at = at


class IncompleteHeader(BitstreamError):
    """The file was cut inside its header: there is no image in it."""

"""What can be wrong with an architecture."""


class ArchitectureError(ValueError):
    """A text or a value that is no architecture of the space; the message says where it breaks."""

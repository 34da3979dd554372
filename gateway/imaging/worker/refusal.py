"""Why a worker does not do what it was asked: two errors, whose text is for whoever sent the picture."""


class Refused(Exception):
    """The picture is not one that is taken here; nothing was decoded, or everything was."""


class GaveUp(Refused):
    """A decoder or an encoder failed in the middle. The worker ends after this."""

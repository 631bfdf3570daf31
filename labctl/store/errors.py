"""What the results database cannot do."""

from __future__ import annotations

from labctl.errors import HostError, RequestError


class StoreError(RequestError):
    """The results database cannot be opened, or does not hold what is asked for."""


class Unreadable(StoreError):
    """What is stored of one VM is damaged: attempt ``attempt`` of ``host``. The others' can be read."""

    def __init__(self, message: str, *, hint: str, host: str, attempt: int) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.attempt = attempt


class TooLarge(HostError):
    """Of one VM there is more to keep than could be read again."""

    cause = "too-large"

"""What the results database cannot do."""

from __future__ import annotations

from labctl.errors import RequestError


class StoreError(RequestError):
    """The results database cannot be opened, or does not hold what is asked for."""

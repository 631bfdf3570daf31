"""The same work on many hosts at once. It knows nothing of the work."""

from labctl.batch.fan_out import DEFAULT_FORKS, THREAD_NAME, fan_out

__all__ = ["DEFAULT_FORKS", "THREAD_NAME", "fan_out"]

"""Settings of the property tests."""

from __future__ import annotations

from hypothesis import settings

# Other tests' VMs share the processor: how long one example takes says nothing.
settings.register_profile("labctl")
settings.load_profile("labctl")

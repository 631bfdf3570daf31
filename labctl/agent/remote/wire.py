"""What the controller and the agent both know of the frames between them; ``main`` says what those are."""

from __future__ import annotations

#: In a frame's length: it brings modules.
MODULES = 1 << 31
#: In a frame's length: its JSON is zlib's.
COMPRESSED = 1 << 30
#: What modules that are source begin with, where compiled ones have a magic number.
SOURCE = bytes(4)
#: As an op's user: whoever logged in, which an agent that does not run as root is already.
LOGIN_USER = "\0login"

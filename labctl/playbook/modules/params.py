"""Parameters that many modules have."""

from __future__ import annotations

from labctl.playbook.schema import Param

FLAG = Param("bool", default=False)
TRUE = Param("bool", default=True)
#: Whose a file is and who may do what with it.
OWNERSHIP = {
    "owner": Param(),
    "group": Param(),
    "mode": Param("mode"),
}

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
#: What a module that asks a web server may say of its request.
REQUEST = {
    "headers": Param("dict"),
    "force": FLAG,
    "force_basic_auth": FLAG,
    "http_agent": Param(default="ansible-httpget"),
    "use_proxy": TRUE,
    "validate_certs": TRUE,
}

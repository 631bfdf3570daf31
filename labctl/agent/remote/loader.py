# Runs first on the VM, by exec in __main__, with `payload` (the core's modules) and `marker` already set.
# It makes the package importable from memory: nothing is written to the VM's disk.
# Only what is cheap to import: importlib.abc and linecache would take longer than all the rest.
import gc
import importlib
import marshal
import sys
from importlib.machinery import ModuleSpec

PACKAGE = "labctl_agent"
# By name: source, or code for this version of Python.
modules = {}  # type: ignore[var-annotated]
packages = set()  # type: ignore[var-annotated]


def learn(packed):  # type: ignore[no-untyped-def]
    """Take modules that a later call needs."""
    document = marshal.loads(packed)  # noqa: S302  from the controller, as all of this
    modules.update(document["modules"])
    packages.update(document["packages"])


class MemoryFinder:
    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        if fullname in modules:
            return ModuleSpec(fullname, self, is_package=fullname in packages)  # type: ignore[arg-type]
        return None

    def create_module(self, spec):  # type: ignore[no-untyped-def]  # noqa: ARG002
        return None

    def get_source(self, fullname):  # type: ignore[no-untyped-def]
        # how tracebacks find the lines
        content = modules[fullname]
        return content if isinstance(content, str) else None

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        name = module.__name__
        code = modules[name]
        if isinstance(code, str):
            code = compile(code, "<%s>" % name, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102


# Compiling makes many objects and hardly any garbage: looking for it rarely saves milliseconds.
gc.set_threshold(50_000)
learn(payload)  # type: ignore[name-defined,no-untyped-call]  # noqa: F821
sys.meta_path.insert(0, MemoryFinder())
sys.dont_write_bytecode = True
importlib.import_module(PACKAGE + ".main").serve(marker, learn)  # type: ignore[name-defined]  # noqa: F821

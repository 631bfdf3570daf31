# Runs first on the VM, by exec in __main__, with `sources` (module name -> source) and `marker`
# already set. It makes the package importable from memory: nothing is written to the VM's disk.
# Only what is cheap to import: importlib.abc and linecache would take longer than all the rest.
import gc
import importlib
import sys
from importlib.machinery import ModuleSpec

PACKAGE = "labctl_agent"


class MemoryFinder:
    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        if fullname in sources:  # type: ignore[name-defined]  # noqa: F821
            return ModuleSpec(fullname, self, is_package=fullname in packages)  # type: ignore[arg-type]
        return None

    def create_module(self, spec):  # type: ignore[no-untyped-def]  # noqa: ARG002
        return None

    def get_source(self, fullname):  # type: ignore[no-untyped-def]
        # how tracebacks find the lines
        return sources[fullname]  # type: ignore[name-defined]  # noqa: F821

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        name = module.__name__
        source = sources[name]  # type: ignore[name-defined]  # noqa: F821
        code = compile(source, "<%s>" % name, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102


# Compiling makes many objects and hardly any garbage: looking for it rarely saves milliseconds.
gc.set_threshold(50_000)
packages = set(package_names)  # type: ignore[name-defined]  # noqa: F821
sys.meta_path.insert(0, MemoryFinder())
sys.dont_write_bytecode = True
importlib.import_module(PACKAGE + ".main").serve(marker)  # type: ignore[name-defined]  # noqa: F821

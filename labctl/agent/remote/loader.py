# Runs first on the VM, by exec in __main__, with `sources` (module name -> source) and `marker`
# already set. It makes the package importable from memory: nothing is written to the VM's disk.
import importlib.abc
import importlib.util
import linecache
import sys

PACKAGE = "labctl_agent"


class MemoryFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        if fullname in sources:  # type: ignore[name-defined]  # noqa: F821
            is_package = fullname + ".__init__" in packages
            return importlib.util.spec_from_loader(fullname, self, is_package=is_package)
        return None

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        name = module.__name__
        source = sources[name]  # type: ignore[name-defined]  # noqa: F821
        filename = "<%s>" % name
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)  # noqa: S102


packages = {name + ".__init__" for name in package_names}  # type: ignore[name-defined]  # noqa: F821
sys.meta_path.insert(0, MemoryFinder())
sys.dont_write_bytecode = True
importlib.import_module(PACKAGE + ".main").serve(marker)  # type: ignore[name-defined]  # noqa: F821

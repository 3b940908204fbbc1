"""What several scenarios run: trees to bundle, and code for support.PROBE."""

from support.plain import PROBE

# Two distributions share the name space package `old` by the *-nspkg.pth files that setuptools
# wrote for years.
NSPKG = (
    "import sys, types, os;has_mfs = sys.version_info > (3, 5);p = "
    "os.path.join(sys._getframe(1).f_locals["
    "'sitedir'], *('old',));importlib = has_mfs and __import__('importlib.util');has_mfs and "
    "__import__("
    "'importlib.machinery');m = has_mfs and sys.modules.setdefault('old', "
    "importlib.util.module_from_spec("
    "importlib.machinery.PathFinder.find_spec('old', [os.path.dirname(p)])));m = m or "
    "sys.modules.setdefault("
    "'old', types.ModuleType('old'));mp = (m or []) and m.__dict__.setdefault('__path__',[]);"
    "(p not in mp) and mp.append(p)\n"
)
ONE = {
    **PROBE,
    "old/one/__init__.py": "NAME = 'old one'\n",
    "one-1.0-nspkg.pth": NSPKG,
    "declared/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)\n",
    "declared/one.py": "NAME = 'declared one'\n",
    "extended/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
    "extended/one.py": "NAME = 'extended one'\n",
    "modern/one.py": "NAME = 'modern one'\n",
    "paths.pth": "# first\n\nlater\nnot_there\n../outside\n\t\nsub/deeper\n",
    "later/by_line.py": "NAME = 'by a line'\n",
    "later/modern/three.py": "NAME = 'modern three'\n",
    # only those of a site directory itself are processed
    "later/nested.pth": "import sys; sys.nested_ran = True\n",
    "sub/deeper/by_deeper.py": "NAME = 'by a deeper line'\n",
    "argparse.py": "raise ImportError('the back-port of argparse')\n",
    "uuid.py": "raise ImportError('the back-port of uuid')\n",
    "dep.py": "WHERE = 'bundle'\n",
    "enum.py": "raise ImportError('the back-port of enum')\n",
    "mp.py": """\
import multiprocessing
import sys

def work(code):
    exec(code, {"__name__": "worker"})

def main():
    for kind in ("spawn", "forkserver", "fork"):
        process = multiprocessing.get_context(kind).Process(target=work, args=(sys.argv[1],))
        process.start()
        process.join()
""",
}
TWO = {
    "old/two.py": "NAME = 'old two'\n",
    "two-1.0-nspkg.pth": NSPKG,
    "declared/two.py": "NAME = 'declared two'\n",
    "extended/two.py": "NAME = 'extended two'\n",
    "modern/two.py": "NAME = 'modern two'\n",
    "code.pth": "import sys; sys.pth_ran = True\nimport early_import\n",
    "early_import.py": "import sys\nsys.early = [p for p in sys.path if "
    "p.endswith('site-packages')] != []\n",
}
# Prints the names of everything that can only be imported with .pth files and name spaces.
NAMESPACES = """
import importlib, sys
for name in ("old.one", "old.two", "declared.one", "declared.two", "extended.one", "extended.two",
    "modern.one",
             "modern.two", "modern.three", "by_line", "by_deeper"):
    try:
        print(importlib.import_module(name).NAME, importlib.import_module(name).__file__)
    except ImportError as error:
        print(name, error)
print(sys.pth_ran, sys.early, hasattr(sys, "nested_ran"), *sys.modules["old"].__path__)
"""
# Runs its first argument in a child that is nothing but a Python.
CHILD = (
    "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
)
DATA = {
    **PROBE,
    "pkg/__init__.py": "",
    "pkg/x.json": '{"x": [1, 2, 3]}\n',
    "pkg/binary.bin": bytes(range(256)) * 100,
    "pkg/deep/er/file.txt": "deeper\n",
    "pkg/templates/base.html": "<b>{% block inner %}{% endblock %}</b>",
    "pkg/templates/page.html": "{% extends 'base.html' %}{% block inner %}{{ name|upper }}{% "
    "endblock %}",
    "single.py": "VALUE = 1\n",
    "Mixed_Case-2.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: Mixed.Case\nVersion: 2.5\n"
    "Provides-Extra: fast\nRequires-Dist: markupsafe (>=1.0) ; extra == 'fast'\n",
    "Mixed_Case-2.5.dist-info/RECORD": "pkg/__init__.py,,\npkg/x.json,sha256=abc,17\nsingle.py,,\n"
    "Mixed_Case-2.5.dist-info/METADATA,,\n",
    "Mixed_Case-2.5.dist-info/entry_points.txt": "[console_scripts]\nprobe = probe:main\n\n"
    "[pkg.plugins]\n"
    "one = single:VALUE\n",
    "Mixed_Case-2.5.dist-info/INSTALLER": "pip\n",
    "old.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: old\nVersion: 0.3\n",
    "old.egg-info/top_level.txt": "single\n",
}
READ = """
import hashlib, importlib.resources, importlib.util, inspect, json, pathlib, pkgutil, linecache
import pkg, single
here = pathlib.Path(pkg.__file__).parent
print(json.loads((here / "x.json").read_text()), here)
files = importlib.resources.files(pkg)
print(sorted(p.name for p in files.iterdir() if p.name != "__pycache__"))
print((files / "deep" / "er" / "file.txt").read_text(), (files / "nothing").is_file())
with importlib.resources.as_file(files / "binary.bin") as path:
    print(path, hashlib.sha256(path.read_bytes()).hexdigest())
with importlib.resources.path("pkg", "x.json") as path:
    print(path, os.path.getsize(path))
print(importlib.resources.is_resource("pkg", "x.json"),
    sorted(importlib.resources.contents("pkg"))[-3:])
print(len(pkgutil.get_data("pkg", "binary.bin")), pkgutil.get_data("pkg", "x.json"))
print(inspect.getsource(single), linecache.getline(single.__file__, 1),
    inspect.getsourcefile(single))
print(single.__file__, single.__spec__.origin, single.__cached__, type(single.__loader__).__name__)
print(importlib.util.find_spec("pkg.nothing"), pkg.__path__)
print([m.name for m in pkgutil.iter_modules(["", os.path.dirname(single.__file__)])][-4:])
print(sorted(p.name for p in here.parent.glob("*.dist-info")), os.path.realpath(single.__file__))
"""
METADATA = """
import importlib.metadata as m
print(m.version("Mixed.Case"), m.version("mixed-case"), m.version("old"))
print(m.metadata("mixed_case").items())
print(m.requires("Mixed.Case"), m.entry_points(group="pkg.plugins"),
    m.entry_points(group="pkg.plugins")["one"].load())
dist = m.distribution("Mixed.Case")
print([(str(f), f.size, f.hash and f.hash.value) for f in dist.files])
print(dist.locate_file("pkg/x.json"), dist.files[1].locate(), dist.files[1].read_text(),
    dist.read_text("INSTALLER"))
print(sorted(d.metadata["Name"] for d in m.distributions()
    if "site-packages" in str(d.locate_file(""))))
print(sorted(m.packages_distributions().get("single")))
"""
WORKERS = {
    "crowd/__init__.py": "",
    "crowd/tools.py": """\
import sys

def twice(number):
    import crowd.late
    return number * crowd.late.TWO

def nested(number):
    import multiprocessing
    context = multiprocessing.get_context(multiprocessing.get_start_method())
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue, number))
    process.start()
    value = queue.get()
    process.join()
    return value, process.exitcode

def put(queue, number):
    queue.put(twice(number) + 1)

def fail(number):
    raise LookupError(number)

def leave(number):
    sys.exit(number)
""",
    "crowd/late.py": "TWO = 2\n",
    "crowd/main.py": """\
import concurrent.futures
import multiprocessing
import sys
import threading

from crowd import tools

print("top level", flush=True)

def all_kinds():
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("executor", list(pool.map(tools.twice, range(5))))
        print("nested", pool.submit(tools.nested, 4).result())
        print("error", repr(pool.submit(tools.fail, 3).exception()))
    with multiprocessing.Pool(2) as pool:
        print("pool", pool.map(tools.twice, range(5)), pool.apply_async(tools.twice, (7,)).get())
    process = multiprocessing.Process(target=tools.leave, args=(6,))
    process.start()
    process.join()
    print("process", process.exitcode)
    with multiprocessing.Manager() as manager:
        shared = manager.dict(a=1)
        process = multiprocessing.Process(target=shared.update, args=({"b": 2},))
        process.start()
        process.join()
        print("manager", dict(shared))

def from_thread():
    results = []
    def work():
        # Shut down: else the interpreter's end may meet the pool's, and Python 3.11 then complains
        # on standard error.
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            results.append(pool.submit(tools.twice, 9).result())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    print("thread", results)

def main():
    multiprocessing.set_start_method(sys.argv[1])
    all_kinds()
    from_thread()

if __name__ == "__main__":
    main()
""",
}
RESULTS = """top level
executor [0, 2, 4, 6, 8]
nested (9, 0)
error LookupError(3)
pool [0, 2, 4, 6, 8] 14
process 6
manager {'a': 1, 'b': 2}
thread [18]
"""

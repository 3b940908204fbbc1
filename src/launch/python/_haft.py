"""What makes a Python see a bundle as if it were installed: path order, .pth files, the entry.

Lives in .haft/py of the image, which PYTHONPATH names first, next to the generated _haft_bundle.
Works with every Python 3 from 3.8 on, because children of the program may be another one.
"""
import os
import sys

import _haft_bundle

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DIRECTORIES = [os.path.join(ROOT, path) for path in _haft_bundle.PATHS]
_paths_at_start = [path for path in sys.path if path != HERE]


def _same_python():
    return sys.implementation.cache_tag == _haft_bundle.PYTHON_TAG


def _host_packages():
    """The host's site-packages directories, as far as site knows them."""
    import site

    found = set(site.getsitepackages() if hasattr(site, "getsitepackages") else ())  # not in old virtualenvs
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    return found


def set_up_path():
    """Orders sys.path: standard library, bundle with what its .pth files add, the user's PYTHONPATH, host.

    PYTHONPATH puts our directories and the user's before the standard library and processes no .pth files; an
    installed package has neither.
    """
    import site

    user = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    user = [path for path in map(os.path.abspath, user) if path != HERE and path not in DIRECTORIES]
    ours = set(DIRECTORIES) | {HERE}
    rest = [path for path in sys.path if path not in ours]
    user = [path for path in rest if path in user]
    rest = [path for path in rest if path not in user]

    sys.path[:] = rest
    if _same_python():
        for directory in DIRECTORIES:
            site.addsitedir(directory)
    else:
        # Packages for another Python: its children can still import what is pure, as with PYTHONPATH.
        sys.path.extend(DIRECTORIES)
    added = [path for path in sys.path if path not in rest]
    host = _host_packages()
    first_host = next((i for i, path in enumerate(rest) if path in host), len(rest))
    sys.path[:] = rest[:first_host] + added + user + rest[first_host:]


def run_next_sitecustomize():
    """Runs the sitecustomize that Python would have found without us, under its own name.

    Called while ours is being imported: whatever sys.modules holds afterwards is what the import gives.
    (importlib.util would do it by the book, and cost four milliseconds of every start.)
    """
    import _frozen_importlib
    import _frozen_importlib_external

    spec = _frozen_importlib_external.PathFinder.find_spec("sitecustomize", _paths_at_start)
    if spec is not None and spec.loader is not None:
        del sys.modules["sitecustomize"]
        _frozen_importlib._load(spec)


def _refuse(message):
    sys.stderr.write("haft: %s\n" % message)
    sys.stderr.flush()
    os._exit(125)


def run_program():
    """Becomes the program: sys.argv as the user typed it, then the entry, whose value is the exit status.

    Called as `python -c CODE ARGV0 ARGUMENTS...`.
    """
    if not _same_python():
        _refuse(
            "'%s': needs Python %s (%s): '%s' is Python %s (%s); install the right one or build for this one"
            % (
                sys.argv[1],
                _haft_bundle.PYTHON_VERSION,
                _haft_bundle.PYTHON_TAG,
                sys.executable,
                sys.version.split()[0],
                sys.implementation.cache_tag,
            )
        )
    del sys.argv[0]
    sys.path[:] = [path for path in sys.path if path != HERE]  # still there if sitecustomize was not run

    kind, module = _haft_bundle.ENTRY[:2]
    if kind == "module":
        import runpy

        runpy.run_module(module, run_name="__main__", alter_sys=True)
        sys.exit()
    __import__(module)
    target = sys.modules[module]
    for attribute in _haft_bundle.ENTRY[2].split("."):
        target = getattr(target, attribute)
    sys.exit(target())

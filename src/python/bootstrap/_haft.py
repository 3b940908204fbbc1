"""What makes a Python see a bundle as if it were installed: path order, .pth files, the entry.

Lives in .haft/py of the image, which PYTHONPATH names first, next to the generated _haft_bundle.
Works with every Python 3 from 3.8 on, because children of the program may be another one.
"""

import _imp
import os
import sys

import _haft_bundle

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DIRECTORIES = [os.path.join(ROOT, path) if path else ROOT for path in _haft_bundle.PATHS]
_paths_at_start = [path for path in sys.path if path != HERE]


def _soabi() -> str:
    """ "cpython-311-x86_64-linux-gnu", from the suffix of extension modules; "" if it does not
    tell."""
    suffixes = _imp.extension_suffixes()[:1]
    parts = suffixes[0].split(".") if suffixes else []
    return parts[1] if len(parts) > 2 else ""


def _same_python() -> bool:
    """Version and ABI; what an archive does not know of its interpreter fits all."""
    tag, soabi = _haft_bundle.PYTHON_TAG, _haft_bundle.PYTHON_SOABI
    return (not tag or sys.implementation.cache_tag == tag) and (not soabi or _soabi() == soabi)


def is_ours() -> bool:
    """Whether this Python gets the bundle's packages: the program's, and the same one in its
    children. Not another version, and not a virtual environment, which has packages of its own,
    but for the one that the bundle was built with."""
    if "haft" in sys._xoptions:
        return True  # the program, in whatever Python was asked for; its version is looked at later
    if not _same_python():
        return False
    if sys.prefix == sys.base_prefix or sys.prefix.startswith(ROOT + "/"):
        return True
    return sys.prefix == os.path.dirname(os.path.dirname(_haft_bundle.PYTHON))


def leave_alone() -> None:
    """Takes away what PYTHONPATH gives this Python of the bundle."""
    ours = set(DIRECTORIES) | {HERE}
    sys.path[:] = [path for path in sys.path if path not in ours]


def _host_packages() -> "set[str]":
    """The host's site-packages directories, as far as site knows them."""
    import site

    found = set(
        site.getsitepackages() if hasattr(site, "getsitepackages") else ()
    )  # not in old virtualenvs
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    return found


def _is_standard(path: str) -> bool:
    """Whether a directory holds the standard library; site-packages below it do not count."""
    library = os.path.dirname(os.__file__)
    zipped = "python{}{}.zip".format(*sys.version_info[:2])
    return (
        path in (library, os.path.join(library, "lib-dynload")) or os.path.basename(path) == zipped
    )


def set_up_path() -> None:
    """Orders sys.path: standard library, bundle with what its .pth files add, the user's
    PYTHONPATH, host.

    PYTHONPATH puts our directories and the user's before the standard library and processes no .pth
    files; an installed package has neither. An isolated bundle has no host.
    """
    import site

    user = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    user = [path for path in map(os.path.abspath, user) if path != HERE and path not in DIRECTORIES]
    ours = set(DIRECTORIES) | {HERE}
    rest = [path for path in sys.path if path not in ours]
    user = [path for path in rest if path in user]
    rest = [path for path in rest if path not in user]
    if _haft_bundle.ISOLATED:
        site.ENABLE_USER_SITE = False
        rest = [path for path in rest if _is_standard(path)]

    sys.path[:] = rest
    for directory in DIRECTORIES:
        try:
            site.addsitedir(directory)
        except (
            Exception
        ) as error:  # a .pth file that is no text: an installed Python does not start then
            _refuse(
                f"'{directory}': .pth files: {type(error).__name__}: {error}; repair or "
                f"remove the file"
            )
    added = [path for path in sys.path if path not in rest]
    host = _host_packages()
    first_host = next((i for i, path in enumerate(rest) if path in host), len(rest))
    sys.path[:] = rest[:first_host] + added + user + rest[first_host:]


def run_next_sitecustomize() -> None:
    """Runs the sitecustomize that Python would have found without us, under its own name.

    Called while ours is being imported: whatever sys.modules holds afterwards is what the import
    gives. (importlib.util would do it by the book, and cost four milliseconds of every start.)
    """
    import _frozen_importlib
    import _frozen_importlib_external

    paths = _paths_at_start
    if _haft_bundle.ISOLATED or not is_ours():
        paths = [path for path in paths if path in sys.path]
    spec = _frozen_importlib_external.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        del sys.modules["sitecustomize"]
        _frozen_importlib._load(spec)  # type: ignore[attr-defined]


def start_bundle_again() -> None:
    """Becomes the bundle where Python was given the bundle's own file as its script.

    Programs that start themselves anew (gunicorn at SIGUSR2, the reloaders of web frameworks)
    execute sys.executable with sys.argv, whose first is what the user typed: the bundle, which is
    no Python script.
    """
    bundle = os.environ.get("HAFT_BUNDLE")
    script = getattr(sys, "argv", [""])[0]
    if not bundle or script in ("", "-c", "-m") or script.endswith(".py"):
        return
    try:
        if os.path.samefile(script, bundle):
            os.execv(script, [script, *sys.argv[1:]])
    except OSError:
        pass  # then Python says what it thinks of the file


def _refuse(message: str) -> None:
    sys.stderr.write(f"haft: {message}\n")
    sys.stderr.flush()
    os._exit(125)


def _check_python(name: str) -> None:
    if not _same_python():
        _refuse(
            f"'{name}': needs Python {_haft_bundle.PYTHON_VERSION} "
            f"({_haft_bundle.PYTHON_SOABI or _haft_bundle.PYTHON_TAG}): '{sys.executable}' is "
            f"Python {sys.version.split()[0]} ({_soabi() or sys.implementation.cache_tag}); "
            f"install the right one or "
            "build for this one"
        )


def _name_process(name: str) -> None:
    """The kernel calls a script's process by the script's file, and this one python3."""
    try:
        comm = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(comm, os.fsencode(os.path.basename(name)))
        finally:
            os.close(comm)
    except OSError:
        pass


def _use_own_httpd() -> None:
    """mod_wsgi-express takes the httpd that a variable names before the bundle's."""
    if sys.prefix.startswith(ROOT + "/") and os.path.exists(
        os.path.join(sys.prefix, "bin", "httpd")
    ):
        os.environ.pop("HTTPD", None)


def _use_installed_python() -> None:
    """What an installed bundle's program writes down as its Python works later, without the
    mount."""
    sys.executable = os.environ.pop("HAFT_EXECUTABLE", "") or sys.executable


def begin_program() -> None:
    """In the Python that the start became: what precedes the program that is named on the command
    line.

    The word after "-X haft=" is what runs, and the program's name: sys.argv[0], but of a module
    and of a script of the image, whose paths Python puts there."""
    started = sys._xoptions.pop("haft", None)
    if not isinstance(started, str):
        return
    kind, _, name = started.partition(":")
    if kind == "code":
        return  # run_program() does all that
    _check_python(name)
    if kind == "python":
        return
    _name_process(name)
    _use_own_httpd()
    _use_installed_python()
    if kind != "module":
        # Python takes a script that cannot be read for an empty one, and ends with status 0.
        try:
            descriptor = os.open(sys.argv[0], os.O_RDONLY | os.O_CLOEXEC)
            os.read(descriptor, 1)
            os.close(descriptor)
        except OSError as error:
            _refuse(
                f"'{name}': its files cannot be read: {error}; start it again, or check it with "
                f"haft verify"
            )
    if kind == "entry":
        sys.argv[0] = name
    if sys.argv[1:2] == ["runmodwsgi"]:
        _check_server()


def run_named_entry() -> None:
    """Calls what the user named for this start; see _haft_entry."""
    target = sys._xoptions.pop("haft_entry")
    assert isinstance(target, str)
    if ":" in target:
        _run_function(target)
    _run_name(target)


def run_program() -> None:
    """Becomes the program: sys.argv as the user typed it, then the entry, whose value is the exit
    status.

    Called as `python -c CODE KIND TARGET ARGV0 ARGUMENTS...`.
    """
    kind, target = sys.argv[1:3]
    del sys.argv[:3]
    _check_python(sys.argv[0])
    sys.path[:] = [
        path for path in sys.path if path != HERE
    ]  # still there if sitecustomize was not run
    _name_process(sys.argv[0])
    _use_own_httpd()
    _use_installed_python()
    if _haft_bundle.PREAMBLE:
        _run_preamble(kind, target)
    _ENTRIES[kind](target)


def check_server() -> None:
    """Called by scripts of a bundle with mod_wsgi when the program is imported."""
    if "mod_wsgi.server" in sys.modules or "mod_wsgi.express" in sys.modules:
        _check_server()


def _check_server() -> None:
    """Before a server of mod_wsgi is started: what would make it hang is refused."""
    sys.path.insert(0, HERE)
    try:
        import _haft_mod_wsgi
    finally:
        sys.path.remove(HERE)
    problem = _haft_mod_wsgi.problem()
    if problem:
        _refuse(f"'{sys.argv[0]}': {problem}")


def _run_function(target: str) -> None:
    module, _, function = target.partition(":")
    __import__(module)
    check_server()
    call: object = sys.modules[module]
    for attribute in function.split("."):
        call = getattr(call, attribute)
    sys.exit(call())  # type: ignore[operator]


def _run_module(module: str) -> None:
    import runpy

    if sys.argv[1:2] == ["runmodwsgi"]:
        _check_server()
    runpy._run_module_as_main(module)  # type: ignore[attr-defined]
    sys.exit()


def _run_name(name: str) -> None:
    """ "a.b.c": the module, or the function c of the module a.b."""
    import importlib.util

    try:
        is_module = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        is_module = False
    if is_module:
        _run_module(name)
    else:
        _run_function(":".join(name.rpartition(".")[::2]))


def _execute_file(path: str, variables: "dict[str, object]") -> None:
    """Runs a Python file of the image in a name space. A file that cannot be read is an error,
    whatever Python makes of such a script when it is named on the command line (it ends with status
    0)."""
    import io

    with io.open_code(path) as file:
        source = file.read()
    variables["__file__"] = path
    exec(compile(source, path, "exec", dont_inherit=True), variables)


def _run_script(path: str) -> None:
    """As `python PATH`; __main__.py as Python runs the directory (or zipapp) that it is in.

    Such a one keeps sys.argv[0], and its name tells multiprocessing not to run it again in
    children."""
    variables = sys.modules["__main__"].__dict__
    for name in ("sys", "_haft"):  # of the start code
        variables.pop(name, None)
    variables["__cached__"] = None
    if os.path.basename(path) == "__main__.py":
        import _frozen_importlib

        variables["__package__"] = ""
        variables["__spec__"] = _frozen_importlib.ModuleSpec("__main__", None, origin=path)
    else:
        sys.argv[0] = path
        if not getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, os.path.dirname(path))
    _execute_file(path, variables)
    sys.exit()


def _execute(path: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(path, [path, *sys.argv[1:]])
    except OSError as error:
        sys.stderr.write(f"haft: '{sys.argv[0]}': run '{path}': {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127 if isinstance(error, (FileNotFoundError, NotADirectoryError)) else 126)


def _run_interpreter(_: object) -> None:
    sys.argv[1:1] = _haft_bundle.PYTHON_ARGUMENTS
    _execute(sys.executable)


_ENTRIES = {
    "function": _run_function,
    "module": _run_module,
    "name": _run_name,
    "script": _run_script,
    "execute": _execute,
    "interpreter": _run_interpreter,
}


def _run_preamble(kind: str, target: str) -> None:
    """A .py file runs here, with the names that shiv gives it; any other as a program of its
    own."""
    path = os.path.join(ROOT, _haft_bundle.PREAMBLE)
    if not path.endswith(".py"):
        import subprocess

        subprocess.run([path], check=False)
        return
    import pathlib
    import types

    environment = types.SimpleNamespace(
        name=_haft_bundle.NAME,
        build_id=_haft_bundle.BUILD_ID,
        entry_point=target if kind in ("function", "module", "name") else None,
        script=target if kind in ("script", "execute") else None,
        preamble=os.path.basename(path),
        root=ROOT,
    )
    module = types.ModuleType("__main__")
    variables = module.__dict__
    variables["archive"] = os.environ.get("HAFT_BUNDLE", sys.argv[0])
    variables["env"] = environment
    variables["site_packages"] = pathlib.Path(DIRECTORIES[0] if DIRECTORIES else ROOT)
    _execute_file(path, variables)

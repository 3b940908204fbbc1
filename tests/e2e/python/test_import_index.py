"""The import index: what the program sees is the same with and without it, and a start reads one
file."""

import json
import os
import re
import unittest

import support

SECONDS = 30

# Everything a program can see of modules and their loaders, as text. No addresses.
LOOK = """
import importlib, importlib.util, importlib.resources, inspect, marshal, pkgutil, re, sys
import traceback, types

def look(name):
    module = importlib.import_module(name)
    spec, loader = module.__spec__, module.__loader__
    print(name, module.__file__, getattr(module, "__cached__", None),
        getattr(module, "__path__", None))
    print(" ", spec, spec.cached, spec.has_location, spec.submodule_search_locations, spec.parent,
        spec.loader is loader)
    print(" ", type(loader), sorted(vars(loader).items()), loader.is_package(name),
        loader.get_filename(name))
    print(" ", loader == type(loader)(name, module.__file__),
        hash(loader) == hash(type(loader)(name, module.__file__)))
    print(" ", len(loader.get_source(name)), loader.get_data(module.__file__)[:20],
        loader.path_stats(module.__file__))
    print(" ", loader.get_code(name).co_filename, loader.get_code(name) == loader.get_code(name))
    print(" ", inspect.getsourcefile(module), len(inspect.getsource(module)),
        loader.get_resource_reader(name) is not None)
    found = importlib.util.find_spec(name)
    print(" ", found == spec, type(importlib.machinery.PathFinder.find_spec(name, None)))

def functions(module):
    for key, value in sorted(vars(module).items()):
        if isinstance(value, types.FunctionType):
            print(" ", key, value.__code__.co_filename, value.__code__.co_firstlineno,
                inspect.getsource(value)[:40])
"""

FILES = {
    "entry.py": "import sys\nimport pack, pack.inner, pack.deep.er, single, shared.part\n"
    "from by_pth import VALUE\n"
    "def main():\n    exec(sys.argv[1], {'__name__': 'code', 'sys': sys})\n",
    "pack/__init__.py": "'''Docs.'''\nfrom . import inner\nCOUNT = globals().get('COUNT', 0) + 1\n",
    "pack/inner.py": "def fails():\n    # why\n    raise ValueError('from inner')\n\n"
    "def doubled(x):\n    y = x * 2\n    return y\n",
    "pack/deep/__init__.py": "# not empty\n",
    "pack/deep/er.py": "assert True\nNAME = __name__\nDEBUG = __debug__\n",
    "pack/not_imported.py": "WHERE = 'pack'\n",
    "pack/data/text.txt": "a resource\n",
    "single.py": "'''A module.'''\nimport os\nWHERE = 'bundle'\n",
    "shared/part.py": "NAME = 'part'\n",  # a namespace package
    "more.pth": "pth_dir\n",
    "pth_dir/by_pth.py": "VALUE = 'by pth'\n",
}
MODULES = (
    "pack",
    "pack.inner",
    "pack.deep",
    "pack.deep.er",
    "single",
    "shared.part",
    "by_pth",
    "entry",
    "pack.not_imported",
)


def app():
    return support.app("indexed", FILES, "-e", "entry:main")


class TestSame(support.TestCase):
    """Each code prints the same with the index and without."""

    def both(self, code, mode="namespace", env=None, cwd=None, arguments=(), same_status=0):
        outputs = []
        for index in ({}, {"HAFT_INDEX": "0"}):
            done = support.run(
                [app(), code, *arguments],
                mode=mode,
                env=support.clean_env(**(env or {}), **index),
                cwd=cwd,
            )
            self.assertEqual(done.returncode, same_status, done.stderr)
            outputs.append(
                tuple(re.sub(r" at 0x[0-9a-f]+", "", text) for text in (done.stdout, done.stderr))
            )
        self.assertEqual(*outputs)
        self.assertTrue(outputs[0][0] or outputs[0][1])
        return outputs[0][0]

    def test_attributes_and_loaders(self, mode):
        self.both(LOOK + f"for name in {MODULES!r}: look(name)", mode)

    def test_sources_of_functions(self):
        self.both(LOOK + "import pack.inner; functions(pack.inner)")

    def test_traceback_has_source_lines(self):
        code = (
            "import traceback, pack.inner\ntry:\n    pack.inner.fails()\nexcept ValueError:\n"
            "    traceback.print_exc(file=sys.stdout)"
        )
        said = self.both(code)
        self.assertIn(
            '/run/haft/indexed/site-packages/pack/inner.py", line 3, in fails\n'
            "    raise ValueError('from inner')",
            said,
        )

    def test_resources_and_pkgutil(self):
        self.both(
            LOOK
            + """
print((importlib.resources.files("pack") / "data" / "text.txt").read_text(),
    pkgutil.get_data("pack", "data/text.txt"))
import pack
print(sorted((m.name, m.ispkg, isinstance(m.module_finder, importlib.machinery.FileFinder))
    for m in pkgutil.iter_modules(pack.__path__)))
print(sorted(m.name for m in pkgutil.walk_packages(["/run/haft/indexed/site-packages"])))
print([e for e in sorted(p.name for p in importlib.resources.files("pack").iterdir())])
"""
        )

    def test_reload(self):
        self.both(
            "import importlib, pack, pack.inner as i\n"
            "print(pack.COUNT, importlib.reload(pack) is pack, pack.COUNT, "
            "importlib.reload(pack).COUNT, importlib.reload(i) is i, vars(pack.__loader__))"
        )

    def test_spec_without_import(self):
        self.both(
            "import importlib.util as u\n"
            "print(u.find_spec('pack.not_imported'), u.find_spec('pack.nothing'))\n"
            "del sys.modules['single']\nspecs = [u.find_spec('single') for _ in range(3)]\n"
            "print([u.module_from_spec(s).__file__ for s in specs])\n"
            "for s in specs:\n"
            "    m = u.module_from_spec(s); s.loader.exec_module(m); print(m.WHERE, vars(s.loader))"
        )

    def test_trace_sees_the_lines(self):
        self.both(
            "import pack.inner\nlines = []\ndef trace(frame, event, arg):\n"
            "    if 'inner' in frame.f_code.co_filename: lines.append((event, "
            "frame.f_lineno))\n    return trace\n"
            "sys.settrace(trace); pack.inner.doubled(2); sys.settrace(None); print(lines)"
        )

    def test_shadowed_by_an_earlier_entry(self, mode):
        other = support.write_tree(
            support.unique_dir(),
            {
                "single.py": "WHERE = 'other'",
                "late.py": "X = 1",
                "pack/__init__.py": "NAME = 'other pack'",
            },
        )
        code = (
            f"sys.path.insert(0, {str(other)!r})\n"
            f"for name in ('single', 'pack', 'pack.inner'): del sys.modules[name]\n"
            "import single, pack; print(single.WHERE, pack.__file__.startswith('/run/haft'), "
            "single.__spec__)"
        )
        self.assertTrue(self.both(code, mode).startswith("other False"))

    def test_child_in_a_directory_with_the_same_names(self):
        other = support.write_tree(
            support.unique_dir(),
            {"single.py": "WHERE = 'cwd'", "run.py": "import single; print(single.WHERE)"},
        )
        code = (
            "import subprocess\n"
            "for words in (['-c', 'import single; print(single.WHERE)'], ['-m', 'run'], "
            "['run.py']):\n"
            "    subprocess.run([sys.executable, *words], check=True, stdout=sys.stdout)\n"
            "sys.stdout.flush()"
        )
        self.assertEqual(self.both(code, cwd=other), "cwd\ncwd\ncwd\n")

    def test_users_pythonpath_stays_behind(self):
        other = support.write_tree(
            support.unique_dir(), {"single.py": "WHERE = 'user'", "only.py": "W = 'user'"}
        )
        code = "import single, only; print(single.WHERE, only.W)"
        self.assertEqual(self.both(code, env={"PYTHONPATH": str(other)}), "bundle user\n")

    @support.parametrised(
        words=[
            "-O",
            "-OO",
            "-B",
            "-I",
            "-S",
            "-X utf8",
            "--check-hash-based-pycs always",
            "-Xfrozen_modules=off",
        ]
    )
    def test_options_of_a_child(self, words):
        code = (
            "import sys\ntry:\n    import pack.deep.er as er, pack.inner, inspect\n"
            "    print(er.DEBUG, er.__cached__, pack.__doc__, "
            "inspect.getsource(pack.inner.doubled))\n"
            "except ImportError as e:\n    print(e)"
        )
        self.both(
            f"import subprocess\n"
            f"subprocess.run([sys.executable, *{words.split()!r}, '-c', {code!r}], check=True)"
        )

    def test_cache_prefix(self):
        """A Python told to keep compiled files elsewhere does so."""
        place = support.unique_dir()
        code = (
            f"import os, subprocess\nenv = dict(os.environ, PYTHONPYCACHEPREFIX={str(place)!r})\n"
            "subprocess.run([sys.executable, '-c', 'import single; "
            "print(single.__cached__)'], check=True, env=env)\n"
            f"print(sorted(n for _, _, names in os.walk({str(place)!r}) for n in names if "
            f"'single' in n))"
        )
        self.assertIn("single.cpython-311.pyc", self.both(code))

    def test_threads_and_processes(self):
        self.both(
            "import importlib, multiprocessing, os, threading\n"
            "names = ['pack.not_imported', 'pack.inner', 'single', 'by_pth', 'shared.part'] * 20\n"
            "for n in set(names): sys.modules.pop(n, None)\n"
            "ts = [threading.Thread(target=importlib.import_module, args=(n,)) for n in names]\n"
            "[t.start() for t in ts]; [t.join() for t in ts]\n"
            "print(sorted(sys.modules[n].__file__ for n in set(names)))\n"
            "sys.stdout.flush()\nif os.fork() == 0:\n"
            "    del sys.modules['single']; import single; print(single); "
            "sys.stdout.flush(); os._exit(0)\nos.wait()"
        )

    def test_sub_interpreter(self):
        self.both(
            "import _xxsubinterpreters as s\ni = s.create()\nprint('main'); sys.stdout.flush()\n"
            "s.run_string(i, 'import pack.deep.er, sys; print(pack.deep.er.__spec__); "
            "sys.stdout.flush()')\ns.destroy(i)"
        )

    def test_pkg_resources_finds_distributions(self):
        """It looks for finders by their class."""
        self.both(
            "try:\n    import pkg_resources\nexcept ImportError:\n    print('not installed')\n"
            "else:\n"
            "    print(pkg_resources.resource_string('pack', 'data/text.txt'), "
            "sorted(d.key for d in "
            "pkg_resources.find_distributions('/run/haft/indexed/site-packages')))"
        )


@unittest.skipIf(os.environ.get("HAFT_INDEX") == "0", "the whole run is without the index")
class TestUsed(support.TestCase):
    # Prints the mount's counters after the imports of the entry.
    STATS = "print(open('/run/haft/indexed/.haft/stats').read())"

    def counters(self, **env):
        done = support.run([app(), self.STATS], env=support.clean_env(**env), check=True)
        return json.loads(done.stdout)["operations"]

    def test_modules_are_not_read_one_by_one(self):
        with_index, without = self.counters(), self.counters(HAFT_INDEX="0")
        self.assertLess(
            with_index["lookup"] + with_index["read"], without["lookup"] + without["read"] - 10
        )
        # The ones of the script, of sitecustomize and the finder, the one of this code.
        self.assertLessEqual(with_index["ioctl"], 5, with_index)

    def test_modules_that_functions_import_come_from_the_index(self):
        """The build imports the entry, and calls nothing."""
        count = 60
        tree = support.write_tree(
            support.unique_dir(),
            {
                "lazy/__init__.py": "",
                "lazy/all.py": "".join(f"import lazy.m{i}\n" for i in range(count)),
                **{f"lazy/m{i}.py": f"X = {i}\n" * 40 for i in range(count)},
                "lazy/named.py": "X = 'found by its name'\n",
                "cli.py": "import sys\ndef main():\n    import lazy.all, importlib\n"
                "    print(importlib.import_module('lazy.' + sys.argv[1]).X)\n"
                "    print(open('/run/haft/lazy/.haft/stats').read())\n",
            },
        )
        bundle = support.build(tree, "-e", "cli:main", output=support.unique_dir() / "lazy")
        out = support.run([bundle, "named"], check=True).stdout
        self.assertTrue(out.startswith("found by its name\n"), out)
        operations = json.loads(out.partition("\n")[2])["operations"]
        self.assertLess(operations["read"] + operations["lookup"], count / 2, operations)

    def test_finder_of_an_indexed_directory(self):
        code = (
            "from importlib.machinery import FileFinder\n"
            "f = sys.path_importer_cache['/run/haft/indexed/site-packages']\n"
            "print(isinstance(f, FileFinder), type(f).__name__, f.path)"
        )
        done = support.run([app(), code], check=True)
        self.assertEqual(done.stdout, "True IndexFinder /run/haft/indexed/site-packages\n")

    def test_no_descriptor_is_kept(self):
        done = support.run(
            [app(), "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"], check=True
        )
        self.assertEqual(done.stdout, "['0', '1', '2']\n")

    def test_extension_module_wins_over_source(self):
        """A directory has m.py and m.abi3.so: import takes the latter, so the index must not hold
        the former."""
        tree = support.write_tree(
            support.unique_dir(),
            {
                "entry.py": "def main():\n    try:\n        import m\n"
                "    except ImportError as e:\n        print(type(e).__name__)\n",
                "m.py": "print('source')\n",
            },
        )
        (tree / "m.abi3.so").write_bytes(b"not a library")
        bundle = support.build(
            tree, "-e", "entry:main", "--profile", "", output=support.unique_dir() / "ext"
        )
        self.assertEqual(support.run([bundle], check=True).stdout, "ImportError\n")


class TestProfile(support.TestCase):
    def build(self, files, *arguments, **options):
        tree = support.write_tree(support.unique_dir(), files)
        output = support.unique_dir() / "profiled"
        done = support.haft("build", "--site-packages", tree, *arguments, "-o", output, **options)
        return output, done

    def index_size(self, bundle, name="modules.index"):
        said = support.haft("ls", "-l", bundle, ".haft/py").stdout
        return next(
            (int(line.split()[1]) for line in said.splitlines() if line.endswith(name)),
            0,
        )

    def test_a_module_that_is_a_program_is_not_run(self):
        """Building runs no code of a `-m` module's top level, only what it imports."""
        marker = support.unique_dir() / "ran"
        bundle, done = self.build(
            {"prog.py": f"import helper\nopen({str(marker)!r}, 'w')\n", "helper.py": "X = 1\n"},
            "-m",
            "prog",
        )
        self.assertFalse(marker.exists())
        self.assertEqual(done.stderr, "")
        self.assertGreater(self.index_size(bundle), 0)
        with open(bundle, "rb") as file:  # the profile is text
            contents = file.read()
        self.assertRegex(contents, rb'"site-packages/__pycache__/prog\.[^"]*\.pyc"')
        self.assertNotIn(
            b'"site-packages/prog.py"', contents
        )  # read when it was built, not by a start

    def test_an_import_that_fails_is_one_warning(self):
        bundle, done = self.build(
            {"e.py": "import there\nimport not_there\ndef main(): pass\n", "there.py": ""},
            "-e",
            "e:main",
        )
        self.assertOneLine(
            done.stderr, "ModuleNotFoundError: No module named 'not_there'", start="haft: profile: "
        )
        self.assertGreater(self.index_size(bundle), 0)

    def test_a_crash_is_one_warning(self):
        _, done = self.build(
            {"e.py": "import os\nos.kill(os.getpid(), 11)\ndef main(): print(1)\n"}, "-e", "e:main"
        )
        self.assertOneLine(done.stderr, "killed by signal 11", start="haft: profile: ")

    def test_run_with_arguments(self):
        files = {
            "e.py": "import sys\ndef main():\n    __import__(sys.argv[1]); print(sys.argv)\n",
            "a b.py": "X = 1\n",
            "c.py": "",
        }
        without, _ = self.build(files, "-e", "e:main")
        self.assertGreater(self.index_size(without, "modules.rest"), 0)
        with_run, done = self.build(
            files, "-e", "e:main", "--profile", "'a b' --flag", "--profile", "c"
        )
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        _, done = self.build(
            files, "-e", "e:main", "--profile", "'a b' --flag", "--profile", "not-there 1"
        )
        self.assertOneLine(
            done.stderr,
            "'not-there 1'",
            "exit status 1",
            "No module named 'not-there'",
            start="haft: profile: ",
        )
        self.assertGreater(self.index_size(with_run), self.index_size(without))

    def test_no_profile(self):
        bundle, _ = self.build(
            {"e.py": "def main(): print('runs')\n"}, "-e", "e:main", "--no-profile"
        )
        self.assertGreater(self.index_size(bundle, "modules.rest"), self.index_size(bundle))
        self.assertEqual(support.run([bundle], check=True).stdout, "runs\n")

    def test_recording_leaves_nothing_behind(self):
        place = support.unique_dir()
        self.build(
            {
                "e.py": "import os, tempfile\ntempfile.mkdtemp()\nopen('here', 'w')\n"
                "if os.fork() == 0:\n    import time; time.sleep(50)\ndef main(): pass\n"
            },
            "-e",
            "e:main",
            env=support.clean_env(TMPDIR=str(place)),
        )
        self.assertEqual(os.listdir(place), [])

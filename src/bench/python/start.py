# Starts the program from an unpacked directory, as an installed one starts: its packages behind the
# standard library and before the host's. FACTS is put in front by haft bench.
import sys

_facts = globals()["FACTS"]

_root = __file__.rpartition("/")[0]
sys.argv[1:1] = _facts["arguments"]
if not _facts["zipped"]:  # an archive has its own way to the path
    _ours = [_root + "/" + _path for _path in _facts["paths"]]
    _rest = [_path for _path in sys.path[1:] if _path not in _ours]
    _at = next(
        (
            _i
            for _i, _path in enumerate(_rest)
            if _path.endswith(("/site-packages", "/dist-packages"))
        ),
        len(_rest),
    )
    sys.path[:] = _rest[:_at]
    if _facts["pth"]:
        import site

        for _path in _ours:
            site.addsitedir(_path)
    else:
        sys.path += _ours
    sys.path += _rest[_at:]


def main():
    if _facts["function"]:
        __import__(_facts["module"])
        target: object = sys.modules[_facts["module"]]
        for name in _facts["function"].split("."):
            target = getattr(target, name)
        return target()  # type: ignore[operator]
    import runpy

    runpy.run_module(_facts["module"], run_name="__main__", alter_sys=True)
    return None


if __name__ == "__main__":
    sys.exit(main())

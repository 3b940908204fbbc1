# Starts the program from an unpacked directory, as an installed one starts: its packages behind the standard
# library and before the host's. FACTS is put in front by haft bench.
import sys

_root = __file__.rpartition("/")[0]
sys.argv[1:1] = FACTS["arguments"]
if not FACTS["zipped"]:  # an archive has its own way to the path
    _ours = [_root + "/" + _path for _path in FACTS["paths"]]
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
    if FACTS["pth"]:
        import site

        for _path in _ours:
            site.addsitedir(_path)
    else:
        sys.path += _ours
    sys.path += _rest[_at:]


def main():
    if FACTS["function"]:
        __import__(FACTS["module"])
        target = sys.modules[FACTS["module"]]
        for name in FACTS["function"].split("."):
            target = getattr(target, name)
        return target()
    import runpy

    runpy.run_module(FACTS["module"], run_name="__main__", alter_sys=True)
    return None


if __name__ == "__main__":
    sys.exit(main())

"""Runs in every Python that gets a bundle's PYTHONPATH, before any other code of the program."""

import sys

if sys.version_info >= (3, 8):
    import _haft_index

    _haft_index.install()

    import _haft

    _haft.start_bundle_again()
    if _haft.is_ours():
        if "HAFT_TRACE_EVENTS" in _haft.os.environ:
            import _haft_trace

            _haft_trace.start()
        _haft.set_up_path()
    else:
        _haft.leave_alone()
    _haft.run_next_sitecustomize()
    _haft.begin_program()
else:
    # A bundle has no packages for it. Its own sitecustomize comes next.
    _root = __file__.rpartition("/.haft/")[0]
    sys.path[:] = [path for path in sys.path if not (path + "/").startswith(_root + "/")]
    _this = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError:
        sys.modules["sitecustomize"] = _this

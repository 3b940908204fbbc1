"""Runs in every Python that gets a bundle's PYTHONPATH, before any other code of the program."""

import sys

if sys.version_info >= (3, 8):  # an older one gets what PYTHONPATH names, and no more
    import _haft_index

    _haft_index.install()

    import _haft

    _haft.start_bundle_again()
    if "HAFT_TRACE_EVENTS" in _haft.os.environ:
        import _haft_trace

        _haft_trace.start()
    _haft.set_up_path()
    _haft.run_next_sitecustomize()
    _haft.begin_program()

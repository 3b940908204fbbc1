"""Runs in every Python that inherits a bundle's PYTHONPATH, before any other code of the program."""

import _haft_index

_haft_index.install()

import _haft

_haft.start_bundle_again()
if "HAFT_TRACE_EVENTS" in _haft.os.environ:
    import _haft_trace

    _haft_trace.start()
_haft.set_up_path()
_haft.run_next_sitecustomize()

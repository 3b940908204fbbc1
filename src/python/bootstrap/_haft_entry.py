"""__main__ of a start that was told its entry (HAFT_ENTRY_POINT), for which there is no script."""

if __name__ == "__main__":  # not in the processes that multiprocessing spawns
    import os
    import sys

    import _haft

    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    _haft.run_named_entry()

"""The entry of a bundle that serves a WSGI or ASGI application; see _haft_web for its command line.

Small, because a script is compiled at every start; what it imports is compiled in the bundle.
"""

if __name__ == "__main__":  # not in the processes that multiprocessing spawns
    import os
    import sys

    HERE = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, HERE)
    import _haft_web

    sys.path[:] = [path for path in sys.path if path != HERE]
    sys.exit(_haft_web.main())

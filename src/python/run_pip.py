# As `python -m pip`, but a pip.py in the working directory is not pip.
import sys

sys.path[:1] == [""] and sys.path.pop(0)
import runpy  # noqa: E402

sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)

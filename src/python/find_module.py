# Whether there is a module of the name that is the argument: 0, 44 or a traceback.
import importlib.util
import sys

sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 44)

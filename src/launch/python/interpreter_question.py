# What this Python is: one value per line, after one that tells them from anything else a program
# may print. Runs in any Python 3, so that an old one can be named in the error. sysconfig knows
# SOABI, but needs a file Debian keeps apart for some versions; the suffix of extension modules
# says the same.
import sys
from importlib.machinery import EXTENSION_SUFFIXES

soabi = EXTENSION_SUFFIXES[0] if EXTENSION_SUFFIXES else ""
print("haft-answer")
print(".".join(map(str, sys.version_info[:3])))
print(sys.implementation.cache_tag or "")
print(soabi.split(".")[1] if soabi.count(".") > 1 else "")
print(sys.executable or "")

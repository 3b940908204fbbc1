# Where an interpreter's files are, for those who copy them: seven lines.
import os
import sys
import sysconfig

base = {
    "base": sys.base_prefix,
    "platbase": sys.base_exec_prefix,
    "installed_base": sys.base_prefix,
    "installed_platbase": sys.base_exec_prefix,
}
print("haft-answer")
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
print(sys.base_prefix)
print(sys.base_exec_prefix)
print(sysconfig.get_path("stdlib", vars=base))
print(sysconfig.get_path("platstdlib", vars=base))
print("libpython{}.{}{}.so.1.0".format(*sys.version_info[:2], sys.abiflags))

"""Where httpd is: in this bundle. Written by haft build."""

import os

_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "{root}")
_ROOT = os.path.normpath(_ROOT)

WITH_HTTPD_PACKAGE = False
BINDIR = SBINDIR = os.path.join(_ROOT, "bin")
LIBEXECDIR = os.path.join(_ROOT, "lib", "httpd", "modules")
SHLIBPATH = ""
SHLIBPATH_VAR = "LD_LIBRARY_PATH"
MPM_NAME = ""
PROGNAME = "{httpd}"
HTTPD = os.path.join(SBINDIR, PROGNAME)
ROTATELOGS = os.path.join(SBINDIR, "rotatelogs")

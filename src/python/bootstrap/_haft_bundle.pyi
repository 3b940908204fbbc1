"""The module that haft build writes into every bundle: see BundleModule() in src/python."""

NAME: str
BUILD_ID: str
PYTHON: str
PYTHON_TAG: str
PYTHON_SOABI: str
PYTHON_VERSION: str
PYTHON_ARGUMENTS: tuple[str, ...]
PATHS: tuple[str, ...]
ISOLATED: bool
PREAMBLE: str
WEB: tuple[str, str, str]  # interface, application, server; in a bundle that serves

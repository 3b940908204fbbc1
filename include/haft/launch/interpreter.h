// Which Python a start runs, and what a Python is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/launch/environment.h"

namespace haft {

// Runs the interpreter `path` once (some 10 ms) to learn what it is. Nothing of PYTHON* and HAFT_*
// in `environment` reaches it. kInvalidInput if it does not answer as a Python 3 does. target.path
// is `path`, but of a script (a shim of pyenv's, whose meaning changes) the interpreter behind it.
Result<format::PythonTarget> AskInterpreter(const std::string& path,
                                            const Environment& environment);

// The interpreter for a bundle. `requested` (HAFT_PYTHON: a path, or a name to be found in PATH),
// if not empty, is taken or refused. Else the first that fits of: the one the bundle was built for,
// /usr/bin/pythonX.Y, /usr/local/bin/pythonX.Y, pythonX.Y in the absolute directories of PATH. The
// one it was built for fits if the name of its file tells the version (the bootstrap looks again
// before any code of the bundle runs), unless it is a script; of the others, each is asked: version
// X.Y and ABI have to be the same. A refusal names both versions.
Result<std::string> ChooseInterpreter(const format::PythonTarget& target,
                                      const Environment& environment,
                                      std::string_view requested = {});

}  // namespace haft

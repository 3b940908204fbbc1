// What a bundle runs, and turning this process into it.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/launch/environment.h"

namespace haft {

// Exit statuses of our own, as env(1) has them.
inline constexpr int kExitCannotStart = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct Program {
  std::string path;                     // absolute
  std::vector<std::string> arguments;   // argv, from argv[0]
  Environment environment{{}};
};

// The interpreter to use: the one the bundle was built for, else one of the same version in the usual places
// and in PATH. A file that names another version (python3.12) is refused, naming both. Where the name
// does not tell, the bootstrap checks again before any code of the bundle runs.
Result<std::string> ChooseInterpreter(const format::PythonTarget& target, const Environment& environment);

// The program behind a bundle started as argv[0], argv[1], …: the interpreter running the bundle's bootstrap, with
// the mount's directories in front of PYTHONPATH. Nothing else in the environment changes.
Result<Program> MakeProgram(const format::Manifest& manifest, std::vector<std::string> argv,
                            Environment environment);

// execve; returns only if it fails.
Error Execute(Program program);
// 126 or 127, by why Execute() failed.
int ExitStatusFor(const Error& error);

}  // namespace haft

// What a bundle runs, and turning this process into it.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/launch/environment.h"
#include "haft/launch/interpreter.h"

namespace haft {

// Exit statuses of our own, as env(1) has them.
inline constexpr int kExitCannotStart = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct Program {
  std::string path;                    // absolute, unless `search`
  std::vector<std::string> arguments;  // argv, from argv[0]
  Environment environment{{}};
  // As execvp(3) does it: a path without '/' is looked for in PATH of `environment`, and sh runs a
  // script without "#!".
  bool search = false;
};

// The program behind a bundle started as argv[0], argv[1], … and mounted at manifest.mount: the
// interpreter with the bundle's bootstrap, the interpreter alone, or a file of the image. `bundle`
// is the absolute path of the file, "" if it has none. Of the environment change:
// * HAFT_SCRIPT, HAFT_ENTRY_POINT, HAFT_INTERPRETER, HAFT_PYTHON steer this start and go
//   (see Overrides);
// * HAFT_BUNDLE is `bundle`;
// * PYTHONPATH begins with the mount's directories; what was there follows, but nothing of another
//   bundle that this one is started from;
// * with an interpreter in the image, PATH begins with its directory, and OPENSSL_MODULES is set
//   if it is not;
// * what the manifest says: environment, isolated (PYTHONNOUSERSITE), ignore_environment (PYTHON*
//   go).
Result<Program> MakeProgram(const format::Manifest& manifest, std::vector<std::string> argv,
                            Environment environment, const std::string& bundle = {});

// Any command in the environment of a bundle: as MakeProgram() changes it, and with `programs`,
// directories of the image, in front of PATH. REQUIRES: !words.empty()
Program MakeCommand(const format::Manifest& manifest, const std::vector<std::string>& programs,
                    std::vector<std::string> words, Environment environment,
                    const std::string& bundle);

// Puts directories in front of PATH.
void PrependToPath(Environment& environment, const std::vector<std::string>& directories);

// execve; returns only if it fails.
Error Execute(Program program);
// 126 or 127, by why Execute() failed.
int ExitStatusFor(const Error& error);

}  // namespace haft

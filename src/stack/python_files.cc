#include "python_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "python_code.h"

namespace haft {

Result<PythonFiles> FindPythonFiles(const PythonInterpreter& python) {
  const std::string question(PythonFilesQuestion().front().bytes);
  auto output = TRY(RunCommand({.program = python.target().path,
                                .arguments = {"-I", "-S", "-B", "-c", question},
                                .environment = {"LC_ALL=C.UTF-8"}}));
  const auto views = Lines(output.out);
  const std::vector<std::string> lines(views.begin(), views.end());
  if (output.status != 0 || lines.size() != 7 || lines[0] != "haft-answer" ||
      !std::filesystem::is_directory(lines[4])) {
    return Failure(Error::Invalid(
        fmt::format("python {}: cannot be bundled: it does not say where its files are",
                    Quoted(python.target().path))));
  }
  return PythonFiles{.program = lines[1],
                     .prefix = lines[2],
                     .exec_prefix = lines[3],
                     .standard_library = lines[4],
                     .platform_library = lines[5],
                     .library = lines[6]};
}

}  // namespace haft

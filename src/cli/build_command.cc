#include <fmt/format.h>
#include <unistd.h>

#include "build_options.h"
#include "command_line.h"
#include "commands.h"
#include "haft/base/log.h"
#include "haft/pack/build.h"
#include "progress_bar.h"
#include "project_file.h"

namespace haft::cli {
namespace {

// Of the working directory, as pip's "." is.
constexpr const char* kProjectFile = "pyproject.toml";

// What the words and the project say.
Result<Arguments> ReadArguments(const CommandLine& line, const Words& words) {
  SplitWords split = TRY(SplitPipArguments(line, words));
  Arguments arguments = TRY(line.Parse(split.ours));
  if (arguments.help) return arguments;
  if (!split.pip.empty()) arguments.values["pip"] = std::move(split.pip);
  if (arguments.Has("no-project") || ::access(kProjectFile, F_OK) != 0) return arguments;
  return Merge(std::move(arguments), TRY(ReadProjectFile(kProjectFile, line)));
}

}  // namespace

Result<int> RunBuild(const Words& words) {
  CommandLine line("build", "-o FILE [OPTION...] [[--] PIP-ARGUMENT...]",
                   "Makes one executable file of a Python application. Without -c, -e, -m and -x it is an interpreter with "
                   "the packages. PIP-ARGUMENTs go to 'pip install'. Options may also stand in [tool.haft] of ./pyproject.toml.",
                   "  haft build -c certbot -o certbot certbot\n"
                   "  haft build -c tool -o tool -- --no-index --find-links wheels tool\n"
                   "  haft build --site-packages dist -e package.module:main -o tool && ./tool --version");
  DefineBuildOptions(line);
  Arguments arguments = TRY(ReadArguments(line, words));
  if (arguments.help) {
    TRY(Print(line.Help()));
    return kOk;
  }
  BuildOptions options = TRY(MakeBuildOptions(arguments));
  for (const std::string& remark : Remarks(arguments)) LogLine(LogLevel::kWarning, remark);
  auto report = [&] {
    ProgressBar bar;
    options.progress = [&](const BuildProgress& p) { bar.Show(p.step, p.done, p.total, p.unit); };
    return BuildBundle(options);
  }();
  if (!report) return Failure(std::move(report).error());
  for (const std::string& warning : report->warnings) Log(LogLevel::kWarning, "{}", warning);
  for (const std::string& problem : report->not_compiled) Log(LogLevel::kDebug, "not compiled: {}", problem);
  if (::isatty(STDERR_FILENO) == 1) {
    TRY(Print(fmt::format("{}: {} files, {:.1f} MiB in {:.1f} MiB\n", options.output, report->files,
                          static_cast<double>(report->content_bytes) / (1 << 20),
                          static_cast<double>(report->output_bytes) / (1 << 20))));
  }
  return kOk;
}

}  // namespace haft::cli

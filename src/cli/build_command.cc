#include <fmt/format.h>
#include <unistd.h>

#include "build_options.h"
#include "commands.h"
#include "haft/base/log.h"
#include "haft/build/build.h"
#include "import_input.h"
#include "output.h"
#include "progress_bar.h"
#include "project_file.h"

namespace haft::cli {
namespace {

// Of the working directory, as pip's "." is.
constexpr const char* kProjectFile = "pyproject.toml";

// What the words and the project say.
Result<Arguments> WithProject(Arguments arguments) {
  if (arguments.Has("no-project") || ::access(kProjectFile, F_OK) != 0) return arguments;
  return Merge(std::move(arguments), TRY(ReadProjectFile(kProjectFile, LineOf(kBuildCommand))));
}

// What is imported says what the command line does not.
void Apply(ImportedInput imported, const Arguments& arguments, BuildOptions& options) {
  format::Manifest& manifest = imported.manifest;
  if (!arguments.Has("python") && !manifest.python.path.empty())
    options.python = std::move(manifest.python.path);
  if (options.python_arguments.empty())
    options.python_arguments = std::move(manifest.python_arguments);
  if (options.arguments.empty()) options.arguments = std::move(manifest.arguments);
  if (options.build_id.empty()) options.build_id = std::move(manifest.build_id);
  // In order: a variable set again has the last value.
  options.environment.insert(options.environment.begin(), manifest.environment.begin(),
                             manifest.environment.end());
  options.ignore_environment |= manifest.ignore_environment;
  options.isolated |= manifest.isolated;
  options.multi_call |= manifest.multi_call;
  options.bundle_python |= imported.bundled_python;
  options.bundle_httpd |= imported.bundled_httpd;
  options.imported = std::move(imported);
}

Result<int> Run(const Arguments& given) {
  const Arguments arguments = TRY(WithProject(given));
  BuildOptions options = TRY(MakeBuildOptions(arguments));
  if (arguments.Has("from")) Apply(TRY(ImportInput(arguments.Get("from"))), arguments, options);
  for (const std::string& remark : Remarks(arguments)) LogLine(LogLevel::kWarning, remark);
  auto report = [&] {
    ProgressBar bar;
    options.progress = [&](const BuildProgress& p) { bar.Show(p.step, p.done, p.total, p.unit); };
    return BuildBundle(options);
  }();
  if (!report) return Failure(std::move(report).error());
  for (const std::string& warning : report->warnings) Log(LogLevel::kWarning, "{}", warning);
  for (const std::string& problem : report->not_compiled)
    Log(LogLevel::kDebug, "not compiled: {}", problem);
  if (::isatty(STDERR_FILENO) == 1) {
    TRY(Print(fmt::format("{}: {} files, {:.1f} MiB in {:.1f} MiB\n", options.output, report->files,
                          static_cast<double>(report->content_bytes) / (1 << 20),
                          static_cast<double>(report->output_bytes) / (1 << 20))));
  }
  return kOk;
}

}  // namespace

constinit const Command kBuildCommand = {
    .name = "build",
    .summary = "make one executable file of site-packages directories",
    .synopsis = "-o FILE [OPTION...] [[--] PIP-ARGUMENT...]",
    .description =
        "Makes one executable file of a Python application. Without -c, -e, -m and -x it is an "
        "interpreter with the packages. PIP-ARGUMENTs go to 'pip install'. Options may also stand "
        "in [tool.haft] of ./pyproject.toml.",
    .example =
        "  haft build -c certbot -o certbot certbot\n"
        "  haft build -c tool -o tool -- --no-index --find-links wheels tool\n"
        "  haft build --from old.pyz -o new\n"
        "  haft build --site-packages dist -e package.module:main -o tool && ./tool --version",
    .define = DefineBuildOptions,
    .run = Run,
};

}  // namespace haft::cli

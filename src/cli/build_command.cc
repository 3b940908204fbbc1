#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build_options.h"
#include "commands.h"
#include "haft/base/log.h"
#include "haft/base/safe_path.h"
#include "haft/base/text.h"
#include "haft/build/build.h"
#include "haft/python/shebang.h"
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

// An interpreter is executed: one that an input names is taken only where nobody but root and the
// caller could have put it, and only if it is called as one.
Result<> CheckNamedPython(const std::string& path, const std::string& input) {
  auto refused = [&](std::string_view why) {
    return Failure(Error(ErrorKind::kUnsupported, fmt::format("{}: names the interpreter {}: {}",
                                                              Quoted(input), Quoted(path), why))
                       .Remedy("name one with -p"));
  };
  if (!NamesPython("#!" + path)) return refused("not called as a Python");
  if (auto safe = OpenSafeFile(path, O_PATH); !safe) return refused(safe.error().message());
  return {};
}

bool IsDirectory(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
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

// For who sits there; nobody reads it in the log of a container's build, where all is root's.
void RemarkOnRoot(const BuildOptions& options) {
  if (::geteuid() != 0 || ::isatty(STDERR_FILENO) != 1) return;
  if (!options.pip_arguments.empty()) {
    LogLine(LogLevel::kWarning,
            "build as root: pip runs code of packages that are not wheels; build as another user, "
            "or with --only-binary :all: and --no-profile");
  } else if (options.profile) {
    LogLine(LogLevel::kWarning,
            "build as root: runs code of the packages; build as another user, or with "
            "--no-profile");
  }
}

Result<int> Run(const Arguments& given) {
  const Arguments arguments = TRY(WithProject(given));
  BuildOptions options = TRY(MakeBuildOptions(arguments));
  if (arguments.Has("from")) {
    const std::string input = arguments.Get("from");
    ImportedInput imported = TRY(ImportInput(input));
    const std::string& python = imported.manifest.python.path;
    if (!arguments.Has("python") && !python.empty()) TRY(CheckNamedPython(python, input));
    // A file may be anybody's: nothing of it runs unless that is asked for.
    if (!IsDirectory(input) && !arguments.Has("profile")) options.profile = false;
    Apply(std::move(imported), arguments, options);
  }
  RemarkOnRoot(options);
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

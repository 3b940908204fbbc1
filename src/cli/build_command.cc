#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "command_line.h"
#include "commands.h"
#include "haft/base/log.h"
#include "haft/pack/build.h"
#include "progress_bar.h"

namespace haft::cli {
namespace {

// The runtime lies beside haft (build directory) or in ../libexec/haft (installed).
Result<std::string> FindRuntime() {
  char self[PATH_MAX];
  ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  if (size < 0) return Failure(Error::FromErrno("/proc/self/exe"));
  std::string dir(self, static_cast<std::size_t>(size));
  dir.resize(dir.rfind('/'));
  std::string beside = dir + "/haft-runtime", installed = dir + "/../libexec/haft/haft-runtime";
  for (const std::string& path : {beside, installed}) {
    if (::access(path.c_str(), R_OK) == 0) return path;
  }
  return Failure(Error(ErrorKind::kNotFound, fmt::format("{} is missing", Quoted(beside)))
                     .Remedy("install haft completely, or name the file with --runtime"));
}

// A name for the mount path from the output's: "My App!" becomes "My-App-".
std::string NameFrom(const std::string& output) {
  std::string name = output.substr(output.rfind('/') + 1);
  std::ranges::replace_if(name, [](unsigned char c) { return !std::isalnum(c) && c != '.' && c != '_'; }, '-');
  name.erase(0, name.find_first_not_of(".-"));
  name.resize(std::min<std::size_t>(name.size(), 64));
  return name.empty() ? "bundle" : name;
}

Result<BuildOptions> MakeOptions(const Arguments& arguments) {
  BuildOptions options{.site_packages = arguments.All("site-packages"),
                       .entry = {.console_script = arguments.Get("console-script"),
                                 .entry_point = arguments.Get("entry-point"),
                                 .module = arguments.Get("module"),
                                 .wsgi = arguments.Get("wsgi"),
                                 .server = arguments.Has("server") ? arguments.Get("server") : "httpd"},
                       .python = arguments.Get("python"),
                       .runtime = arguments.Get("runtime"),
                       .output = arguments.Get("output-file"),
                       .name = arguments.Get("name"),
                       .compile = !arguments.Has("no-compile"),
                       .profile = !arguments.Has("no-profile"),
                       .profile_runs = arguments.All("profile"),
                       .profile_from = arguments.All("profile-from"),
                       .bundle_python = arguments.Has("bundle-python") || arguments.Has("bundle-httpd"),
                       .bundle_httpd = arguments.Has("bundle-httpd"),
                       .httpd = arguments.Get("httpd")};
  if (options.output.empty()) return Failure(UsageError("build", "-o FILE is missing"));
  if (options.site_packages.empty()) return Failure(UsageError("build", "--site-packages DIR is missing"));
  int entries = arguments.Has("console-script") + arguments.Has("entry-point") + arguments.Has("module") + arguments.Has("wsgi");
  if (entries != 1) return Failure(UsageError("build", "exactly one of -c, -e, -m and --wsgi says what the bundle starts"));
  if (!options.profile && arguments.Has("profile")) {
    return Failure(UsageError("build", "--profile and --no-profile exclude each other"));
  }
  if (arguments.Has("server") && !arguments.Has("wsgi")) return Failure(UsageError("build", "--server goes with --wsgi"));
  if (arguments.Has("jobs")) options.workers = TRY(ParseNumber("--jobs", arguments.Get("jobs"), 1024));
  if (options.python.empty()) options.python = ::access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
  if (options.runtime.empty()) options.runtime = TRY(FindRuntime());
  if (options.name.empty()) options.name = NameFrom(options.output);
  if (!format::IsBundleName(options.name)) {
    return Failure(UsageError("build", fmt::format("--name {}: not of the form [A-Za-z0-9._-], at most 64 bytes",
                                                   Quoted(options.name))));
  }
  return options;
}

}  // namespace

Result<int> RunBuild(const Words& words) {
  CommandLine line("build", "--site-packages DIR (-c SCRIPT | -e MODULE:FUNCTION | -m MODULE) -o FILE [OPTION...]",
                   "Makes one executable file of a Python application that lies in site-packages directories.",
                   "  pip install --target dist certbot\n"
                   "  haft build --site-packages dist -c certbot -o certbot\n"
                   "  ./certbot --version");
  line.Value("site-packages", "DIR", "directory with installed packages; several are merged")
      .Value("c,console-script", "SCRIPT", "start this console script of one of the packages")
      .Value("e,entry-point", "MODULE:FUNCTION", "start by calling this function; its value is the exit status")
      .Value("m,module", "MODULE", "start as 'python -m MODULE' does")
      .Value("wsgi", "MODULE:CALLABLE", "serve this web application")
      .Value("server", "NAME", "with httpd and mod_wsgi, gunicorn, uvicorn or waitress [httpd]")
      .Value("o,output-file", "FILE", "the bundle; replaced only when the new one is complete")
      .Value("p,python", "PYTHON", "interpreter to build for [/usr/bin/python3, else python3 of PATH]")
      .Value("name", "NAME", "the files appear at /haft/NAME [base name of FILE]")
      .Value("jobs", "N", "processes and threads to use [one per CPU]")
      .Flag("bundle-python", "put the interpreter in, with its library and the shared libraries all of it needs")
      .Flag("bundle-httpd", "put Apache httpd in, with modules and helpers; and the interpreter")
      .Value("httpd", "FILE", "the httpd to put in [/usr/sbin/apache2 or httpd]")
      .Flag("no-compile", "take the files as they are; do not compile .pyc files")
      .Value("profile", "ARGS", "run the program once with these arguments to learn what a start reads [import the entry]")
      .Value("profile-from", "FILE", "a profile that 'haft trace --profile' wrote; several are merged")
      .Flag("no-profile", "do not run anything to learn what a start reads")
      .Value("runtime", "FILE", "program to put in front [haft-runtime beside haft]");
  Arguments arguments = TRY(line.Parse(words));
  if (arguments.help) {
    TRY(Print(line.Help()));
    return kOk;
  }
  BuildOptions options = TRY(MakeOptions(arguments));
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

#include "build_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "haft/base/path.h"
#include "haft/base/shell_words.h"
#include "haft/python/pip.h"
#include "haft/python/python_flags.h"
#include "haft/python/shebang.h"

namespace haft::cli {
namespace {

constexpr std::array<std::string_view, 6> kEntries = {
    "console-script", "entry-point", "module", "exe", "wsgi", "asgi"};

// Options of `pip install`. Where haft has an option of the same name, it is haft's, unless behind
// "--".
constexpr auto kPipOptions = std::to_array<std::string_view>({"--requirement",
                                                              "--constraint",
                                                              "--no-deps",
                                                              "--pre",
                                                              "--dry-run",
                                                              "--platform",
                                                              "--python-version",
                                                              "--implementation",
                                                              "--abi",
                                                              "--upgrade",
                                                              "--upgrade-strategy",
                                                              "--force-reinstall",
                                                              "--ignore-installed",
                                                              "--ignore-requires-python",
                                                              "--no-build-isolation",
                                                              "--use-pep517",
                                                              "--no-use-pep517",
                                                              "--check-build-dependencies",
                                                              "--config-settings",
                                                              "--global-option",
                                                              "--no-binary",
                                                              "--only-binary",
                                                              "--prefer-binary",
                                                              "--require-hashes",
                                                              "--progress-bar",
                                                              "--no-clean",
                                                              "--index-url",
                                                              "--extra-index-url",
                                                              "--no-index",
                                                              "--find-links",
                                                              "--trusted-host",
                                                              "--cert",
                                                              "--client-cert",
                                                              "--cache-dir",
                                                              "--no-cache-dir",
                                                              "--isolated-build",
                                                              "--proxy",
                                                              "--retries",
                                                              "--timeout",
                                                              "--exists-action",
                                                              "--no-input",
                                                              "--keyring-provider",
                                                              "--use-feature",
                                                              "--use-deprecated",
                                                              "--verbose",
                                                              "--quiet",
                                                              "--log",
                                                              "--no-color",
                                                              "--src",
                                                              "--target",
                                                              "--editable",
                                                              "--download",
                                                              "--user",
                                                              "--prefix",
                                                              "-r",
                                                              "-U",
                                                              "-I",
                                                              "-i",
                                                              "-f",
                                                              "-v",
                                                              "-q",
                                                              "-t",
                                                              "-d"});

bool IsPipOption(std::string_view word) {
  bool is_long = word.starts_with("--");
  return std::ranges::find(kPipOptions, is_long ? word.substr(0, word.find('='))
                                                : word.substr(0, 2)) != kPipOptions.end();
}

// The runtime lies beside haft (build directory) or in ../libexec/haft (installed).
Result<std::string> FindRuntime() {
  char self[PATH_MAX];
  ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  if (size < 0) return Failure(Error::FromErrno("/proc/self/exe"));
  const std::string dir(DirName({self, static_cast<std::size_t>(size)}));
  std::string beside = dir + "/haft-runtime", installed = dir + "/../libexec/haft/haft-runtime";
  for (const std::string& path : {beside, installed}) {
    if (::access(path.c_str(), R_OK) == 0) return path;
  }
  return Failure(Error(ErrorKind::kNotFound, fmt::format("{} is missing", Quoted(beside)))
                     .Remedy("install haft completely, or name the file with --runtime"));
}

// A name for the mount path from the output's: "My App!" becomes "My-App-".
std::string NameFrom(const std::string& output) {
  std::string name(BaseName(output));
  std::ranges::replace_if(
      name, [](unsigned char c) { return !std::isalnum(c) && c != '.' && c != '_'; }, '-');
  name.erase(0, name.find_first_not_of(".-"));
  name.resize(std::min<std::size_t>(name.size(), 64));
  return name.empty() ? "bundle" : name;
}

Result<format::Variable> ParseVariable(const std::string& text) {
  std::size_t equals = text.find('=');
  format::Variable variable{text.substr(0, equals),
                            equals == text.npos ? "" : text.substr(equals + 1)};
  if (equals == text.npos || !format::IsVariableName(variable.name)) {
    return Failure(UsageError(fmt::format("--inject-env {}: is not NAME=VALUE", Quoted(text))));
  }
  if (variable.name.starts_with("HAFT_")) {
    return Failure(UsageError(
        fmt::format("--inject-env {}: HAFT_* is for who starts a bundle", Quoted(text))));
  }
  return variable;
}

Result<> CheckMountPath(const std::string& path) {
  // Directories that programs need as they are: the bundle's files would be in their place.
  constexpr auto kOfTheHost = std::to_array<std::string_view>(
      {"/bin",       "/boot",    "/etc",     "/home",      "/lib",       "/lib32",
       "/lib64",     "/libx32",  "/root",    "/run",       "/sbin",      "/tmp",
       "/usr",       "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/sbin",
       "/usr/share", "/var",     "/var/lib", "/var/run",   "/var/tmp"});
  if (std::ranges::find(kOfTheHost, path) != kOfTheHost.end()) {
    return Failure(UsageError(
        fmt::format("--mount-at {}: every host has files there that programs need", Quoted(path))));
  }
  std::string_view top = std::string_view(path).substr(0, path.find('/', 1));
  if (format::IsMountPath(path) && top != "/proc" && top != "/sys" && top != "/dev") return {};
  return Failure(UsageError(
      fmt::format("--mount-at {}: not an absolute path of [A-Za-z0-9._/-], or in /proc, /sys, /dev",
                  Quoted(path))));
}

// -p and --python-arg: the interpreter, and what it is started with.
Result<> TakePython(const Arguments& arguments, BuildOptions& options) {
  std::vector<std::string> flags;
  if (arguments.Has("python")) {
    PythonRequest request = TRY(ParsePythonRequest(arguments.Get("python")));
    options.python = std::move(request.interpreter);
    flags = std::move(request.flags);
  }
  for (std::string& word : arguments.All("python-arg")) flags.push_back(std::move(word));
  PythonFlags parsed = TRY(ParsePythonFlags(flags));
  options.python_arguments = std::move(parsed.arguments);
  options.ignore_environment = parsed.ignore_environment;
  if (options.python.empty())
    options.python = IsExecutableFile("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
  return {};
}

Result<Compression> ParseCompression(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, Compression>, 4> kKnown = {
      {{"auto", Compression::kAuto},
       {"lz4", Compression::kLz4},
       {"zstd", Compression::kZstd},
       {"none", Compression::kNone}}};
  for (const auto& [name, compression] : kKnown) {
    if (text == name) return compression;
  }
  return Failure(UsageError(
      fmt::format("--compression {}: known are auto, lz4, zstd and none", Quoted(text))));
}

}  // namespace

void DefineBuildOptions(CommandLine& line) {
  line.Value("c,console-script", "SCRIPT",
             "start this console script of a package, or this file of bin/")
      .Value("e,entry-point", "M:F",
             "start by calling function F of module M; its value is the exit status")
      .Value("m,module", "MODULE", "start as 'python -m MODULE' does")
      .Value("x,exe", "FILE", "start this script or program, which is put into the bundle")
      .Value("wsgi", "MODULE:CALLABLE",
             "serve this WSGI application; the bundle takes --port and more")
      .Value("asgi", "MODULE:CALLABLE", "serve this ASGI application")
      .Value("server", "SERVER", "httpd, gunicorn, uvicorn or waitress [httpd; for --asgi uvicorn]")
      .Value("o,output-file", "FILE", "the bundle; replaced only when the new one is complete")
      .Value("p,python", "PYTHON",
             "interpreter to build for, flags may follow [/usr/bin/python3, else python3 of PATH]")
      .Value("from", "FILE",
             "convert a .pyz of shiv or zipapp, a .pex, wheel, zip, virtual environment or bundle")
      .Value("site-packages", "DIR", "directory with installed packages; several are merged")
      .Value("sources", "DIR", "directory with the application's own modules; merged too")
      .Value("name", "NAME", "the files appear at /run/haft/NAME [base name of FILE]")
      .Value("mount-at", "PATH", "the files appear at PATH instead")
      .Value("inject-env", "NAME=VALUE", "variable set for the program, whatever it was before")
      .Value("inject-args", "WORDS", "arguments in front of the user's; split as a shell does")
      .Value("python-arg", "FLAG", "option of the interpreter: -O, -Xdev, -Wignore")
      .Flag("isolated", "hide the host's site-packages from the program")
      .Flag("multi-call",
            "started by the name of another script (a link to it), the bundle runs that script")
      .Flag("bundle-python",
            "put the interpreter in, with its library and the shared libraries all of it needs")
      .Flag("bundle-httpd", "put Apache httpd in, with modules and helpers; and the interpreter")
      .Value("httpd", "FILE", "the httpd to put in [/usr/sbin/apache2 or httpd]")
      .Value("preamble", "FILE",
             "runs before the entry: a .py file in the program itself, any other as a program")
      .Value("build-id", "TEXT", "a name of your own for this build; shown by haft info")
      .Value("compression", "HOW",
             "auto (lz4 for what a start reads, zstd for the rest), lz4, zstd or none [auto]")
      .Flag("compressed", "compress (that is so)")
      .Flag("uncompressed", "store the files as they are")
      .Flag("no-compile", "take the files as they are; do not compile .pyc files")
      .Value("profile", "ARGS",
             "run the program once with these arguments to learn what a start reads [import the "
             "entry]")
      .Value("profile-from", "FILE",
             "a profile that 'haft trace --profile' wrote, besides what the entry's import tells "
             "(not with --no-profile); several are merged")
      .Flag("no-profile", "do not run anything to learn what a start reads")
      .Value("jobs", "N", "processes and threads to use [one per CPU]")
      .Value("runtime", "FILE", "program to put in front [haft-runtime beside haft]")
      .Flag("no-project", "do not read [tool.haft] of ./pyproject.toml")
      .Flag("reproducible", "as shiv has it: same input, same bytes (always so)")
      .Flag("no-modify", "as shiv has it: changed files are noticed (always so)")
      .Flag("E,extend-pythonpath", "as shiv has it: children see the packages (always so)")
      .Flag("compile-pyc", "as shiv has it (done at build, unless --no-compile)")
      .Value("root", "DIR", "as shiv has it: where to unpack (nothing is unpacked)")
      .PassOn("pip", IsPipOption, "options of pip go behind --; ");
}

Arguments Merge(Arguments arguments,
                const std::map<std::string, std::vector<std::string>>& project) {
  bool entry = std::ranges::any_of(kEntries, [&](auto name) { return arguments.Has(name); });
  bool codec = arguments.Has("compressed") || arguments.Has("uncompressed");
  for (const auto& [name, values] : project) {
    if (entry && std::ranges::find(kEntries, name) != kEntries.end()) continue;
    if (codec && name.ends_with("compressed")) continue;
    arguments.values.try_emplace(name, values);
  }
  return arguments;
}

// Long: one line per option; divided it would say the same names twice.
Result<BuildOptions> MakeBuildOptions(const Arguments& arguments) {
  BuildOptions options;
  options.site_packages = arguments.All("site-packages");
  options.sources = arguments.All("sources");
  options.pip_arguments = arguments.All("pip");
  options.entry = {.console_script = arguments.Get("console-script"),
                   .entry_point = arguments.Get("entry-point"),
                   .module = arguments.Get("module"),
                   .executable = arguments.Get("exe"),
                   .web = {.wsgi = arguments.Get("wsgi"),
                           .asgi = arguments.Get("asgi"),
                           .server = arguments.Get("server")}};
  options.runtime = arguments.Get("runtime");
  options.output = arguments.Get("output-file");
  options.name = arguments.Get("name");
  options.mount = arguments.Get("mount-at");
  options.compile = !arguments.Has("no-compile");
  if (arguments.Has("compression"))
    options.compression = TRY(ParseCompression(arguments.Get("compression")));
  if (arguments.Has("uncompressed")) options.compression = Compression::kNone;
  options.profile = !arguments.Has("no-profile");
  options.profile_runs = arguments.All("profile");
  options.profile_from = arguments.All("profile-from");
  options.bundle_httpd = arguments.Has("bundle-httpd");
  options.bundle_python = arguments.Has("bundle-python") || options.bundle_httpd;
  options.httpd = arguments.Get("httpd");
  options.preamble = arguments.Get("preamble");
  options.isolated = arguments.Has("isolated");
  options.multi_call = arguments.Has("multi-call");
  options.build_id = arguments.Get("build-id");

  if (options.output.empty()) return Failure(UsageError("-o FILE is missing"));
  TRY(CheckPipArguments(options.pip_arguments));
  if (!arguments.Has("from") && options.site_packages.empty() && options.sources.empty() &&
      options.pip_arguments.empty() && options.entry.executable.empty()) {
    return Failure(
        UsageError("what goes into the bundle is missing: --from FILE, --site-packages "
                   "DIR, --sources DIR, or packages for pip"));
  }
  // shiv has -e win over -c.
  int entries = (arguments.Has("console-script") || arguments.Has("entry-point")) +
                arguments.Has("module") + arguments.Has("exe") + arguments.Has("wsgi") +
                arguments.Has("asgi");
  if (entries > 1)
    return Failure(
        UsageError("only one of -c, -e, -m, -x, --wsgi and --asgi says what the bundle starts"));
  if (arguments.Has("server") && !arguments.Has("wsgi") && !arguments.Has("asgi")) {
    return Failure(UsageError("--server goes with --wsgi and --asgi"));
  }
  for (std::string_view name : kEntries) {
    if (arguments.Has(name) && arguments.Get(name).empty())
      return Failure(UsageError(fmt::format("--{} is empty", name)));
  }
  if (arguments.Has("compressed") && arguments.Has("uncompressed")) {
    return Failure(UsageError("--compressed and --uncompressed exclude each other"));
  }
  if (arguments.Has("compression") && arguments.Has("uncompressed")) {
    return Failure(UsageError("--compression and --uncompressed exclude each other"));
  }
  if (!options.profile && arguments.Has("profile")) {
    return Failure(UsageError("--profile and --no-profile exclude each other"));
  }
  for (const std::string& text : arguments.All("inject-env"))
    options.environment.push_back(TRY(ParseVariable(text)));
  for (const std::string& text : arguments.All("inject-args")) {
    for (std::string& word : TRY(ShellWords(text))) options.arguments.push_back(std::move(word));
  }
  TRY(TakePython(arguments, options));
  if (!options.mount.empty()) TRY(CheckMountPath(options.mount));
  if (arguments.Has("jobs"))
    options.workers = TRY(ParseNumber("--jobs", arguments.Get("jobs"), 1024));
  if (options.runtime.empty()) options.runtime = TRY(FindRuntime());
  if (options.name.empty()) options.name = NameFrom(options.output);
  if (!format::IsBundleName(options.name)) {
    return Failure(UsageError(fmt::format(
        "--name {}: not of the form [A-Za-z0-9._-], at most 64 bytes", Quoted(options.name))));
  }
  return options;
}

std::vector<std::string> Remarks(const Arguments& arguments) {
  std::vector<std::string> remarks;
  if (arguments.Has("no-modify")) {
    remarks.emplace_back(
        "--no-modify: is always so; the mount is read-only, and every byte is checked when it is "
        "read");
  }
  if (arguments.Has("root")) remarks.emplace_back("--root: not needed; nothing is unpacked");
  return remarks;
}

}  // namespace haft::cli

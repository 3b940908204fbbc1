// install, list, uninstall: bundles below a prefix, where what they write down stays valid.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>

#include "commands.h"
#include "haft/base/path.h"
#include "haft/install/installation.h"
#include "haft/launch/environment.h"
#include "input_file.h"
#include "output.h"

namespace haft::cli {
namespace {

void DefinePrefix(CommandLine& line) {
  line.Value("prefix", "DIR", "below this directory [~/.local; root: /usr/local]");
}

Result<std::string> PrefixOf(const Arguments& arguments) {
  std::string prefix = arguments.Get("prefix");
  if (prefix.empty() && ::geteuid() == 0) prefix = "/usr/local";
  if (prefix.empty()) {
    const std::string home(Environment::Current().Get("HOME").value_or(""));
    if (!home.starts_with('/')) return Failure(UsageError("--prefix is missing, HOME is not set"));
    prefix = home + "/.local";
  }
  std::error_code error;
  const auto path = std::filesystem::absolute(prefix, error).lexically_normal();
  if (error) return Failure(Error::FromErrno(Quoted(prefix), error.value()));
  return WithoutTrailingSlashes(path.string());
}

bool IsInPath(const std::string& directory) {
  const std::string path(Environment::Current().Get("PATH").value_or(""));
  return fmt::format(":{}:", path).contains(fmt::format(":{}:", directory));
}

void DefineInstall(CommandLine& line) {
  DefinePrefix(line);
  line.Value("name", "NAME", "install it as NAME [the bundle's name]")
      .Flag("all", "put links for all scripts of the bundle into DIR/bin, not only for its own")
      .Flag("force", "replace what is in DIR/bin under such a name")
      .Positional({"FILE"}, 1);
}

Result<int> RunInstall(const Arguments& arguments) {
  const std::string prefix = TRY(PrefixOf(arguments));
  const InputFile input = TRY(OpenInput(arguments.Get("FILE")));
  if (input.archive || input.bundle.image_offset == 0) {
    return Failure(Error::Invalid(fmt::format("{}: does not start by itself", Quoted(input.path)))
                       .Remedy("make a bundle of it with haft build --from"));
  }
  const auto manifest =
      TRY_WITHIN(Quoted(input.path), format::ReadManifest(input.image.get(), input.bundle));
  const std::string name = arguments.Get("name");
  const install::Installation installed =
      TRY(install::Install({.prefix = prefix,
                            .name = name.empty() ? manifest.name : name,
                            .file = input.image.get(),
                            .manifest = manifest,
                            .all = arguments.Has("all"),
                            .force = arguments.Has("force")}));
  const std::string commands = prefix + "/bin";
  TRY(Print(fmt::format("installed {} in {}: {}\n{}", installed.name, Quoted(commands),
                        fmt::join(installed.commands, ", "),
                        IsInPath(commands) ? "" : Quoted(commands) + " is not in PATH\n")));
  return kOk;
}

Result<int> RunList(const Arguments& arguments) {
  std::string text;
  for (const install::Installation& found : TRY(install::List(TRY(PrefixOf(arguments))))) {
    text += fmt::format("{}  {}  {}\n", found.name, fmt::join(found.commands, ", "),
                        Quoted(found.bundle));
  }
  TRY(Print(text));
  return kOk;
}

void DefineUninstall(CommandLine& line) {
  DefinePrefix(line);
  line.Positional({"NAME"}, 1);
}

Result<int> RunUninstall(const Arguments& arguments) {
  TRY(install::Uninstall(TRY(PrefixOf(arguments)), arguments.Get("NAME")));
  return kOk;
}

}  // namespace

constinit const Command kInstallCommand = {
    .name = "install",
    .summary = "put a bundle and links to its programs below a prefix",
    .synopsis = "[--prefix DIR] [--name NAME] FILE",
    .description =
        "Copies FILE to DIR/lib/haft/NAME/bundle and links its command into DIR/bin. Beside the "
        "file, in DIR/lib/haft/NAME/bin, are links for all its scripts and for python: the program "
        "sees the latter as sys.executable, so that what it writes down (hooks, kernels, units) "
        "works later, from any process. Installing again replaces the version before.",
    .example =
        "  haft install ./pre-commit\n"
        "  haft install --prefix /opt/tools --all ./app",
    .define = DefineInstall,
    .run = RunInstall,
};

constinit const Command kListCommand = {
    .name = "list",
    .summary = "show which bundles are installed",
    .synopsis = "[--prefix DIR]",
    .description = "Shows name, commands and file of each bundle that haft install has put there.",
    .example = "  haft list --prefix /opt/tools",
    .define = DefinePrefix,
    .run = RunList,
};

constinit const Command kUninstallCommand = {
    .name = "uninstall",
    .summary = "remove an installed bundle and its links",
    .synopsis = "[--prefix DIR] NAME",
    .description = "Removes what haft install has made, and nothing else. Programs that run go on.",
    .example = "  haft uninstall pre-commit",
    .define = DefineUninstall,
    .run = RunUninstall,
};

}  // namespace haft::cli

#include "commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "haft/base/edit_distance.h"

namespace haft::cli {
namespace {

constexpr std::array kCommands = {
    &kBuildCommand,      &kRunCommand,   &kInstallCommand, &kListCommand,   &kUninstallCommand,
    &kExecCommand,       &kShellCommand, &kMountCommand,   &kUmountCommand, &kPsCommand,
    &kCacheCommand,      &kLsCommand,    &kCatCommand,     &kInfoCommand,   &kVerifyCommand,
    &kRootCommand,       &kSignCommand,  &kBenchCommand,   &kTraceCommand,  &kExtractCommand,
    &kCompletionCommand, &kHelpCommand,
};

}  // namespace

Commands AllCommands() {
  return kCommands;
}

Result<const Command*> FindCommand(std::string_view name) {
  auto found = std::ranges::find(kCommands, name, [](const Command* c) { return c->name; });
  if (found != kCommands.end()) return *found;
  std::vector<std::string_view> names;
  for (const Command* command : kCommands) names.push_back(command->name);
  auto nearest = Nearest(name, names);
  return Failure(
      UsageError(fmt::format("{}: no such command", Quoted(name)))
          .Remedy(nearest ? fmt::format("did you mean '{}'?", *nearest) : "see 'haft --help'"));
}

}  // namespace haft::cli

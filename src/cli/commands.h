// All sub-commands of haft.
#pragma once

#include <string_view>

#include "haft/base/error.h"
#include "haft/command/command.h"

namespace haft::cli {

extern const Command kBuildCommand;
extern const Command kRunCommand;
extern const Command kInstallCommand;
extern const Command kListCommand;
extern const Command kUninstallCommand;
extern const Command kExecCommand;
extern const Command kShellCommand;
extern const Command kMountCommand;
extern const Command kUmountCommand;
extern const Command kPsCommand;
extern const Command kCacheCommand;
extern const Command kLsCommand;
extern const Command kCatCommand;
extern const Command kInfoCommand;
extern const Command kVerifyCommand;
extern const Command kRootCommand;
extern const Command kSignCommand;
extern const Command kBenchCommand;
extern const Command kTraceCommand;
extern const Command kExtractCommand;
extern const Command kCompletionCommand;
extern const Command kHelpCommand;

// In the order of the help.
Commands AllCommands();
// kUsage for a name that is none, with the nearest one.
Result<const Command*> FindCommand(std::string_view name);

}  // namespace haft::cli

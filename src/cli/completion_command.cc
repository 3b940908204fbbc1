#include <fmt/format.h>

#include "commands.h"
#include "haft/command/completion.h"
#include "output.h"

namespace haft::cli {
namespace {

constexpr const char* kShell = "bash|zsh|fish";

void Define(CommandLine& line) {
  line.Positional({kShell}, 1);
}

Result<int> Run(const Arguments& arguments) {
  const std::string shell = arguments.Get(kShell);
  if (shell == "bash") {
    TRY(Print(BashCompletion(AllCommands())));
  } else if (shell == "zsh") {
    TRY(Print(ZshCompletion(AllCommands())));
  } else if (shell == "fish") {
    TRY(Print(FishCompletion(AllCommands())));
  } else {
    return Failure(UsageError(fmt::format("{}: neither bash nor zsh nor fish", Quoted(shell))));
  }
  return kOk;
}

}  // namespace

constinit const Command kCompletionCommand = {
    .name = "completion",
    .summary = "print what lets a shell complete haft's words",
    .synopsis = "bash|zsh|fish",
    .description =
        "Prints a script that completes commands, options, files, and paths inside a "
        "bundle. An installed haft has them where the shells look.",
    .example =
        "  eval \"$(haft completion bash)\"\n"
        "  haft completion fish > ~/.config/fish/completions/haft.fish",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli

#include "commands.h"
#include "haft/command/manual.h"
#include "output.h"

namespace haft::cli {
namespace {

void Define(CommandLine& line) {
  line.Flag("man", "print all of it as a manual page, for man(1)").Positional({"COMMAND"}, 0);
}

Result<int> Run(const Arguments& arguments) {
  if (arguments.Has("man")) {
    TRY(Print(ManPage(AllCommands())));
  } else if (arguments.Has("COMMAND")) {
    TRY(Print(LineOf(*TRY(FindCommand(arguments.Get("COMMAND")))).Help()));
  } else {
    TRY(Print(Overview(AllCommands())));
  }
  return kOk;
}

}  // namespace

constinit const Command kHelpCommand = {
    .name = "help",
    .summary = "tell what the commands do",
    .synopsis = "[--man] [COMMAND]",
    .description = "Prints the list of commands, or the help of one.",
    .example =
        "  haft help build\n"
        "  haft help --man | man -l -",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli

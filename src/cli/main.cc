// The haft command: finds the sub-command, parses its words, runs it, reports what went wrong.
#include <string_view>

#include "commands.h"
#include "haft/base/exceptions.h"
#include "haft/base/log.h"
#include "haft/command/manual.h"
#include "output.h"

namespace haft::cli {
namespace {

Result<int> Run(const Command& command, const Words& words) {
  const CommandLine line = LineOf(command);
  const Arguments arguments = TRY(line.Parse(words));
  if (!arguments.help) return command.run(arguments);
  TRY(Print(line.Help()));
  return kOk;
}

Result<int> Dispatch(const Words& words) {
  const std::string_view name = words.empty() ? "" : std::string_view(words[0]);
  if (words.empty() || name == "--help" || name == "-h") {
    TRY(Print(Overview(AllCommands())));
    return words.empty() ? kUsage : kOk;
  }
  if (name == "--version") {
    TRY(Print("haft " HAFT_VERSION "\n"));
    return kOk;
  }
  const Command* command = TRY(FindCommand(name));
  auto status = Caught([&] { return Run(*command, {words.begin() + 1, words.end()}); });
  if (!status) return Failure(PointToHelp(std::move(status).error(), command->name));
  return status;
}

int Main(const Words& words) {
  ExitAtUncaughtExceptions(kFailed);
  auto status = Caught([&] { return Dispatch(words); });
  if (status) return *status;
  LogLine(LogLevel::kError, status.error().message());
  return status.error().kind() == ErrorKind::kUsage ? kUsage : kFailed;
}

}  // namespace
}  // namespace haft::cli

int main(int argc, char** argv) {
  return haft::cli::Main({argv + 1, argv + argc});
}

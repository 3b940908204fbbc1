#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "command_line.h"
#include "commands.h"
#include "haft/base/edit_distance.h"
#include "haft/base/file_io.h"
#include "haft/base/log.h"

namespace haft::cli {
namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  Result<int> (*run)(const Words&);
};

constexpr std::array kCommands = {
    Command{"build", "make one executable file of site-packages directories", RunBuild},
    Command{"run", "start the program in a bundle or zip archive", RunRun},
    Command{"exec", "run a command among a bundle's files", RunExec},
    Command{"shell", "open a shell among a bundle's files", RunShell},
    Command{"mount", "mount a bundle's files on a directory", RunMount},
    Command{"umount", "end such a mount", RunUmount},
    Command{"ps", "list running bundles", RunPs},
    Command{"cache", "list or remove unpacked bundles", RunCache},
    Command{"ls", "list the files in a bundle", RunLs},
    Command{"cat", "print files of a bundle", RunCat},
    Command{"info", "tell what a bundle is: name, entry, interpreter, sizes", RunInfo},
    Command{"verify", "check every byte of a bundle", RunVerify},
    Command{"bench", "measure how fast bundles start, beside other forms of the program", RunBench},
    Command{"trace", "run a bundle and tell what its start did", RunTrace},
    Command{"extract", "copy a bundle's files into a directory", RunExtract},
};

std::string Help() {
  std::string text =
      "haft turns a Python application into one executable file and runs it without unpacking it\n"
      "usage: haft COMMAND [OPTION...] [WORD...]\n\ncommands:\n";
  for (const Command& command : kCommands)
    text += fmt::format("  {:<8} {}\n", command.name, command.summary);
  text +=
      "\n'haft COMMAND --help' tells more; 'haft --version' prints the version\n\n"
      "Example:\n"
      "  haft build --site-packages DIR -c certbot -o certbot && ./certbot --version\n";
  return text;
}

Error UnknownCommand(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) names.push_back(command.name);
  Error error = Error::Invalid(fmt::format("{}: no such command", Quoted(name)));
  auto nearest = Nearest(name, names);
  return std::move(error).Remedy(nearest ? fmt::format("did you mean '{}'?", *nearest)
                                         : "see 'haft --help'");
}

int Main(const Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    static_cast<void>(Print(Help()).has_value());
    return words.empty() ? kUsage : kOk;
  }
  if (words[0] == "--version") {
    static_cast<void>(Print("haft " HAFT_VERSION "\n").has_value());
    return kOk;
  }
  auto command = std::ranges::find(kCommands, words[0], &Command::name);
  if (command == kCommands.end()) {
    LogLine(LogLevel::kError, UnknownCommand(words[0]).message());
    return kUsage;
  }
  auto status = command->run({words.begin() + 1, words.end()});
  if (status) return *status;
  LogLine(LogLevel::kError, status.error().message());
  return status.error().kind() == ErrorKind::kUsage ? kUsage : kFailed;
}

}  // namespace

Result<> Print(std::string_view text) {
  auto done = WriteAll(STDOUT_FILENO, AsBytes(text));
  if (!done) return Failure(std::move(done).error().Within("standard output"));
  return {};
}

}  // namespace haft::cli

int main(int argc, char** argv) {
  return haft::cli::Main({argv + 1, argv + argc});
}

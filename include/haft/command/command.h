// A sub-command of haft as a value. Everything said about it comes from here: its help, the manual,
// the shells' completions.
#pragma once

#include <span>
#include <string_view>

#include "haft/base/error.h"
#include "haft/command/command_line.h"

namespace haft::cli {

struct Command {
  std::string_view name;
  std::string_view summary;      // for a list of commands
  std::string_view synopsis;     // what follows the name, a line for each form
  std::string_view description;  // sentences
  std::string_view example;      // lines
  void (*define)(CommandLine& line);
  // The exit status, or an error to print.
  Result<int> (*run)(const Arguments& arguments);
};

using Commands = std::span<const Command* const>;

inline CommandLine LineOf(const Command& command) {
  CommandLine line(command.name, command.synopsis, command.description, command.example);
  command.define(line);
  return line;
}

}  // namespace haft::cli

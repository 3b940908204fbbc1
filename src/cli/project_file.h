// Options of `haft build` from a project's pyproject.toml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/command/command_line.h"

namespace haft::cli {

// The table [tool.haft] of a TOML file; empty if there is no such table. Keys are long option
// names: text for an option with a value, an array for one that may be repeated, true for a flag
// (false is as if it were not there), a table for inject-env. `pip` is an array of pip arguments.
// Errors name file, key and line; an unknown key the nearest known one.
Result<std::map<std::string, std::vector<std::string>>> ReadProjectFile(const std::string& path,
                                                                        const CommandLine& line);

}  // namespace haft::cli

// The command line of `haft build`, as options of the builder.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/build/build.h"
#include "haft/command/command_line.h"

namespace haft::cli {

// What is behind "--", what is no option, and the options of `pip install` that haft has not are
// the list "pip".
void DefineBuildOptions(CommandLine& line);

// The command line's arguments and, where it does not say anything, those of `project` (see
// ReadProjectFile; "pip" is pip's). An entry, or arguments for pip, on the command line replace all
// those of the project.
Arguments Merge(Arguments arguments,
                const std::map<std::string, std::vector<std::string>>& project);

// kUsage for what does not fit together.
Result<BuildOptions> MakeBuildOptions(const Arguments& arguments);

// One line for each option that is accepted because shiv has it, and needs nothing here.
std::vector<std::string> Remarks(const Arguments& arguments);

}  // namespace haft::cli

// Scripts that let a shell complete haft's commands, options, files, and paths inside a bundle;
// made from the table of the commands.
#pragma once

#include <string>

#include "haft/command/command.h"

namespace haft::cli {

std::string BashCompletion(Commands commands);
std::string ZshCompletion(Commands commands);
std::string FishCompletion(Commands commands);

}  // namespace haft::cli

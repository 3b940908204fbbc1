// What haft says about all its commands, made from their table.
#pragma once

#include <string>

#include "haft/command/command.h"

namespace haft::cli {

// `haft --help`.
std::string Overview(Commands commands);

// A manual page for man(1), in section 1: every command with its options and its example.
std::string ManPage(Commands commands);

}  // namespace haft::cli

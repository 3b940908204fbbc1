#pragma once

#include <string>

namespace haft {

// Removes directory `name` below the directory `parent` with everything in it, as far as possible.
// Follows no symbolic links and leaves no file system.
void RemoveTree(int parent, const std::string& name);

// Everything in the open directory, not itself.
void RemoveContents(int directory);

}  // namespace haft

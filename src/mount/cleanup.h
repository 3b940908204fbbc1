#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "haft/base/error.h"

namespace haft {

// Forks a detached process that waits until this process has ended and no process uses the
// directory `path` any more (see DirectoryUsers), then calls `finish`, and again while that says
// false. It keeps only the descriptors `keep`. Needed where the kernel does not end things by
// itself. If `is_last` is given and says false when this process has ended, other cleanup processes
// look after the directory, and this one ends. REQUIRES: this process has one thread.
Result<> ForkCleanup(const std::string& path, std::initializer_list<int> keep,
                     const std::function<bool()>& finish,
                     const std::function<bool()>& is_last = {});

}  // namespace haft

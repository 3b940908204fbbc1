#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// What Python gets with -c, from src/launch/python: the start of a bundle, in one line for those
// who read ps, ...
std::span<const EmbeddedFile> StartCode();
// ... and what an interpreter is asked before it is chosen.
std::span<const EmbeddedFile> InterpreterQuestion();

}  // namespace haft

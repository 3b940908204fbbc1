// What the standard library throws, as errors. Only std::bad_alloc is expected: haft itself throws
// nothing.
#pragma once

#include <type_traits>
#include <utility>

#include "haft/base/error.h"

namespace haft {

// The exception that is being handled. REQUIRES: called in a catch block.
Error CurrentException();

// body(), a Result. What it throws becomes its error, after all that it held is released.
template <typename Body>
std::invoke_result_t<Body> Caught(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    return Failure(CurrentException());
  }
}

// An exception that reaches no Caught() ends the process with one line and this status. So it is in
// children of a fork, which are noexcept: they must not destroy what their parent holds. For the
// first line of a main().
void ExitAtUncaughtExceptions(int status);

}  // namespace haft

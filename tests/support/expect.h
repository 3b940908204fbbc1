// Results in tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "haft/base/error.h"

namespace haft::testing {

// The value, or a test failure with the error's message and a default value.
template <typename T>
T Expect(Result<T> result) {
  if (result) return *std::move(result);
  ADD_FAILURE() << result.error().message();
  return T();
}

// The message of the error, or "" if there is none.
template <typename T>
std::string Message(const Result<T>& result) {
  return result ? "" : result.error().message();
}

}  // namespace haft::testing

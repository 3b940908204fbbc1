#include "haft/base/exceptions.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace haft {
namespace {

constexpr const char* kOutOfMemory = "out of memory";
constexpr const char* kMoreMemory = "allow it more, or give it less to do";

int exit_status = 1;

// Allocates nothing. Whoever waits for this process may be reading what it printed.
[[noreturn]] void Exit() noexcept {
  std::string_view line = "haft: internal error: ended without a reason\n";
  if (std::current_exception()) {
    line = "haft: internal error: an exception that nobody caught\n";
    try {
      throw;
    } catch (const std::bad_alloc&) {
      line = "haft: out of memory; allow it more, or give it less to do\n";
    } catch (...) {
    }
  }
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(exit_status);
}

}  // namespace

Error CurrentException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::kSystem, kOutOfMemory, ENOMEM).Remedy(kMoreMemory);
  } catch (const std::length_error&) {  // more than any memory
    return Error(ErrorKind::kSystem, kOutOfMemory, ENOMEM).Remedy(kMoreMemory);
  } catch (const std::system_error& error) {  // a thread that cannot be made
    return Error::FromErrno("thread", error.code().value());
  } catch (const std::exception& error) {
    return {ErrorKind::kSystem, fmt::format("internal error: {}", error.what())};
  } catch (...) {
    return {ErrorKind::kSystem, "internal error: an unknown exception"};
  }
}

void ExitAtUncaughtExceptions(int status) {
  exit_status = status;
  std::set_terminate(Exit);
}

}  // namespace haft

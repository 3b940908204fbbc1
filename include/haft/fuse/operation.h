#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace haft {

// The FUSE operations haft counts and records.
enum class Operation : std::uint8_t {
  kLookup,
  kForget,
  kGetattr,
  kReadlink,
  kOpen,
  kRead,
  kOpendir,
  kReaddir,
  kReaddirplus,
  kStatfs,
  kIoctl,
  kLseek,
  kRelease,
  kReleasedir,
  kFlush,
  kCount
};

// In the same order.
inline constexpr std::array<const char*, static_cast<std::size_t>(Operation::kCount)>
    kOperationNames = {"lookup", "forget",  "getattr", "readlink",    "open",
                       "read",   "opendir", "readdir", "readdirplus", "statfs",
                       "ioctl",  "lseek",   "release", "releasedir",  "flush"};

// "lookup", "read", …; "?" for a number that means nothing.
constexpr std::string_view OperationName(std::uint8_t operation) {
  return operation < kOperationNames.size() ? kOperationNames[operation] : "?";
}

}  // namespace haft

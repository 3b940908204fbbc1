#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// A copy of the process environment that can be changed and handed to execve. Entries keep their
// order and bytes; what is not touched is passed on as it was, duplicates included.
class Environment {
 public:
  // Of this process.
  static Environment Current();
  // The one another process was started with.
  static Result<Environment> OfProcess(pid_t pid);
  explicit Environment(std::vector<std::string> entries) : entries_(std::move(entries)) {}

  std::optional<std::string_view> Get(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);
  void Unset(std::string_view name);
  // Every variable whose name begins with `prefix`.
  void UnsetAll(std::string_view prefix);

  // "NAME=VALUE", in order.
  const std::vector<std::string>& entries() const { return entries_; }

  // NULL-terminated, for execve; valid until the next change.
  std::vector<char*> Pointers();

 private:
  std::vector<std::string> entries_;  // NAME=VALUE
};

}  // namespace haft

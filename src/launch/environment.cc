#include "haft/launch/environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "haft/base/process.h"
#include "haft/base/text.h"

namespace haft {
namespace {

bool Names(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
}

}  // namespace

Environment Environment::Current() {
  std::vector<std::string> entries;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
    entries.emplace_back(*entry);
  return Environment(std::move(entries));
}

Result<Environment> Environment::OfProcess(pid_t pid) {
  constexpr std::size_t kLongest = 8u << 20;  // the kernel allows a quarter of the stack limit
  std::string text = TRY(ReadWholeFile(fmt::format("/proc/{}/environ", pid), kLongest));
  std::vector<std::string> entries;
  for (std::string_view entry : Lines(text, '\0')) {
    if (!entry.empty()) entries.emplace_back(entry);
  }
  return Environment(std::move(entries));
}

std::optional<std::string_view> Environment::Get(std::string_view name) const {
  auto found =
      std::ranges::find_if(entries_, [&](const auto& entry) { return Names(entry, name); });
  if (found == entries_.end()) return std::nullopt;
  return std::string_view(*found).substr(name.size() + 1);
}

void Environment::Set(std::string_view name, std::string_view value) {
  std::string entry = std::string(name).append("=").append(value);
  auto found = std::ranges::find_if(entries_, [&](const auto& old) { return Names(old, name); });
  if (found == entries_.end()) {
    entries_.push_back(std::move(entry));
  } else {
    *found = std::move(entry);
  }
}

void Environment::Unset(std::string_view name) {
  std::erase_if(entries_, [&](const auto& entry) { return Names(entry, name); });
}

void Environment::UnsetAll(std::string_view prefix) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.starts_with(prefix); });
}

std::vector<char*> Environment::Pointers() {
  return haft::Pointers(entries_);
}

}  // namespace haft

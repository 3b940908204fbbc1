#include "haft/stack/host_libraries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>

#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"

namespace haft {
namespace {

constexpr std::array kDefaultDirectories = {
#if defined(__x86_64__)
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
#endif
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib"};

// Replaces every `variable` in `text`.
void Replace(std::string& text, std::string_view variable, std::string_view value) {
  for (std::size_t at = text.find(variable); at != text.npos;
       at = text.find(variable, at + value.size())) {
    text.replace(at, variable.size(), value);
  }
}

}  // namespace

Result<HostLibraries> HostLibraries::Read() {
  for (const char* program : {"/sbin/ldconfig", "/usr/sbin/ldconfig"}) {
    if (!IsExecutableFile(program)) continue;
    constexpr std::size_t kLimit = 64u << 20;
    auto output = TRY(
        RunCommand({.program = program, .arguments = {"-p"}, .environment = {"LC_ALL=C"}}, kLimit));
    if (output.status == 0) return HostLibraries(output.out);
  }
  return HostLibraries("");
}

// Lines like "\tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1".
HostLibraries::HostLibraries(std::string_view cache) {
  for (std::string_view line : Lines(cache)) {
    std::size_t kind = line.find(" ("), arrow = line.find(" => ");
    if (!line.starts_with('\t') || kind == line.npos || arrow == line.npos || arrow < kind)
      continue;
    // Variants for newer processors come first in the cache; a bundle is for all.
    if (line.substr(kind, arrow - kind).find("hwcap") != line.npos) continue;
    if (line.substr(arrow).find("/glibc-hwcaps/") != line.npos) continue;
    cache_.emplace(line.substr(1, kind - 1), line.substr(arrow + 4));
  }
}

std::optional<std::string> HostLibraries::FindIn(std::string_view directory,
                                                 const std::string& name,
                                                 std::uint16_t machine) const {
  std::string path = fmt::format("{}/{}", directory, name);
  auto file = OpenHostFile(path);
  if (!file) return std::nullopt;
  auto elf = ReadElf(file->source, file->size);
  if (!elf || !*elf || (*elf)->machine != machine) return std::nullopt;
  return path;
}

std::optional<std::string> HostLibraries::Find(const std::string& name, const ElfFile& user,
                                               std::string_view origin) const {
  if (name.find('/') != name.npos) return std::nullopt;  // a path; nothing to search for
  for (const std::string& entry : user.search_path()) {
    std::string directory = ExpandOrigin(entry, origin);
    if (!directory.starts_with('/')) continue;
    if (auto found = FindIn(directory, name, user.machine)) return found;
  }
  auto [first, last] = cache_.equal_range(name);
  for (auto entry = first; entry != last; ++entry) {
    const std::string& path = entry->second;
    if (!path.contains('/')) continue;
    if (auto found = FindIn(DirName(path), std::string(BaseName(path)), user.machine)) return found;
  }
  for (const char* directory : kDefaultDirectories) {
    if (auto found = FindIn(directory, name, user.machine)) return found;
  }
  return std::nullopt;
}

std::string ExpandOrigin(std::string_view directory, std::string_view origin) {
  std::string expanded(directory);
  Replace(expanded, "${ORIGIN}", origin);
  Replace(expanded, "$ORIGIN", origin);
  if (expanded.find('$') != expanded.npos) return "";
  return expanded;
}

Result<HostFile> OpenHostFile(const std::string& path) {
  std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), ::free);
  struct stat status;
  if (resolved == nullptr || ::lstat(resolved.get(), &status) < 0)
    return Failure(Error::FromErrno(Quoted(path)));
  if (!S_ISREG(status.st_mode))
    return Failure(Error::Invalid(fmt::format("{}: not a file", Quoted(path))));
  static const std::shared_ptr<const InputRoot> root = std::make_shared<const InputRoot>(
      InputRoot{UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), ""});
  return HostFile{.source = FileSource::OnDisk(root, resolved.get() + 1, FileIdentity(status)),
                  .size = static_cast<std::uint64_t>(status.st_size),
                  .mode = status.st_mode,
                  .mtime = status.st_mtim.tv_sec,
                  .path = resolved.get()};
}

}  // namespace haft

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/stack/elf_file.h"

namespace haft {

// The shared libraries of the building host, found as its dynamic loader finds them.
class HostLibraries {
 public:
  // Reads the loader's cache by asking ldconfig for it. Without ldconfig only the default
  // directories are searched.
  static Result<HostLibraries> Read();
  // For tests: `cache` is what `ldconfig -p` prints.
  explicit HostLibraries(std::string_view cache);

  // The file that `user`, lying in the directory `origin`, gets when it asks for `name`: its rpath
  // or runpath, the cache, the default directories. Files for another machine are passed over.
  // nullopt: the host does not have it.
  std::optional<std::string> Find(const std::string& name, const ElfFile& user,
                                  std::string_view origin) const;

 private:
  std::optional<std::string> FindIn(std::string_view directory, const std::string& name,
                                    std::uint16_t machine) const;

  std::multimap<std::string, std::string, std::less<>>
      cache_;  // name to paths, in the loader's order
};

// `directory` of an rpath or runpath with $ORIGIN replaced; empty if it holds another variable.
std::string ExpandOrigin(std::string_view directory, std::string_view origin);

// A file of the host as a source for a tree, symbolic links resolved. Regular files only.
struct HostFile {
  FileSource source;
  std::uint64_t size;
  std::uint32_t mode;
  std::int64_t mtime;
  std::string path;  // resolved
};
Result<HostFile> OpenHostFile(const std::string& path);

}  // namespace haft

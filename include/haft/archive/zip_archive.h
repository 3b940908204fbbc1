#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "haft/archive/zip_directory.h"
#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/tree/file_source.h"
#include "haft/tree/tree.h"

namespace haft {

// An open zip file whose entries can be read in any order. No byte of an entry is handed out before
// the whole entry has been decoded to its real end, its length is the declared one and its CRC
// right; of every 128 KiB read then, a checksum is kept, so that a file changed later is an error
// as well. Memory: the directory, and at most kMemoryBytes of decoded bytes. Thread-safe; decoding
// is one at a time, because libzip is not thread-safe. Survives fork(): reads by position, never
// through a shared file offset.
class ZipArchive : public MemberArchive {
 public:
  // Reads and checks the directory; decodes nothing but entries that say they are empty. `path` is
  // for messages.
  static Result<std::shared_ptr<ZipArchive>> Open(UniqueFd file, std::string path);
  ~ZipArchive() override;

  static constexpr std::size_t kMemoryBytes = 16u << 20;

  const ZipDirectory& directory() const;
  const std::string& path() const;
  // Stays open as long as the archive: a process that closes others must keep it.
  int fd() const;

  // Decodes an entry to its end, whether it has been read before or not. kCorrupt names it.
  Result<> Check(std::uint32_t entry);
  // Of a symbolic link. kCorrupt: it cannot be a target.
  Result<std::string> LinkTarget(std::uint32_t entry);

  std::string MemberOrigin(std::uint32_t member) const override;
  std::uint64_t MemberSize(std::uint32_t member) const override;
  Result<> ReadMember(std::uint32_t member, std::uint64_t offset,
                      std::span<std::byte> out) override;

 private:
  struct Impl;
  explicit ZipArchive(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Where an entry goes in a tree, by its path in the archive; nullopt: nowhere.
using ZipPlacement = std::function<std::optional<std::string>(std::string_view path)>;

// Adds the entries of an archive to `tree`, all of them without `placement`; reads the targets of
// symbolic links and, where two inputs meet, contents. `progress` gets the number of files so far.
// Returns the number of files.
Result<std::uint64_t> AddArchive(const std::shared_ptr<ZipArchive>& archive, Tree& tree,
                                 const ZipPlacement& placement = {},
                                 const std::function<void(std::uint64_t)>& progress = {});

// The whole zip file `path` at `where` in `tree`: an input of a build. `max_bytes` bounds what it
// unpacks to.
Result<std::uint64_t> AddInputZip(const std::string& path, std::string_view where, Tree& tree,
                                  const std::function<void(std::uint64_t)>& progress = {},
                                  std::uint64_t max_bytes = std::uint64_t{64} << 30);

}  // namespace haft

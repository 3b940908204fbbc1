// What tests of several modules need: scratch directories, trees, images in memory.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "haft/base/unique_fd.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"
#include "haft/writer/image_writer.h"

namespace haft::testing {

// A new directory below $TMPDIR (or /tmp), removed with all it holds.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // "PATH/name"
  std::string operator/(std::string_view name) const;
  // Names in it, sorted, not those in directories below.
  std::vector<std::string> List() const;

 private:
  std::string path_;
};

// All of these abort with a message if they fail: a test cannot go on then.

// Makes the directories above it as well.
void WriteTestFile(const std::string& path, std::string_view bytes, unsigned mode = 0644);
std::string ReadTestFile(const std::string& path);

// A tree of files in memory: {{"a/b.txt", "bytes"}, …}. Directories are made for them (0755, 1980).
Tree MakeTree(std::initializer_list<std::pair<std::string_view, std::string_view>> files);
// A file of an input directory as a scan finds it now; `name` may be missing.
FileSource SourceOnDisk(std::shared_ptr<const InputRoot> root, const std::string& name);
// Bytes that lz4 cannot compress, the same for the same seed.
std::string RandomBytes(std::size_t size, unsigned seed);

format::Manifest TestManifest();

// The bytes of a bare image of `tree`.
std::vector<std::byte> BuildImage(const Tree& tree, const ImageOptions& options = {.workers = 1},
                                  const format::Manifest& manifest = TestManifest());

// A file without a name that holds `bytes`, open for reading and writing.
UniqueFd MemoryFile(std::span<const std::byte> bytes);

}  // namespace haft::testing

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"
#include "index_view.h"

namespace haft {

// What reading all the blocks has shown. Numbers in ascending order.
struct CheckedBlocks {
  std::vector<std::uint64_t> damaged;
  std::vector<std::uint64_t> shorter;  // decode to less than the image's block_size
  std::uint64_t first_unknown = 0;     // this one and those after it could not be checked
};

// Checks the extents of files. Files may share them, so the table is looked at once, from one end
// to the other, and a file costs no more than a search.
class ExtentChecker {
 public:
  ExtentChecker(const IndexView& index, const format::BundleFile& bundle,
                const CheckedBlocks& blocks)
      : index_(index), bundle_(bundle), trailer_(bundle.trailer), blocks_(blocks) {}

  // REQUIRES: called once, before Check().
  void ReadTable();

  // What is wrong with the extents of a file: a part of a sentence, "" if nothing is.
  std::string_view Check(const format::Inode& file) const;

 private:
  // Extents that can be those of one file, as many as follow one another. No valid file has extents
  // of two runs: the first extent of a run has file offset 0, no other extent has.
  struct Run {
    std::uint64_t first;
    std::uint64_t end;            // the first one that does not belong to it
    std::uint64_t damaged;        // the first one in a damaged block
    const char* why_not_further;  // what is wrong with a file that goes beyond `end`
  };

  const char* ProblemOf(const format::Extent& extent) const;
  bool IsDamaged(const format::Extent& extent) const;
  std::uint64_t LastBlock(const format::Extent& extent) const;

  // The number of the first extent after the chunk that this one begins in.
  std::uint64_t NextChunk(std::uint64_t number) const;

  const IndexView& index_;
  const format::BundleFile& bundle_;
  const format::Trailer& trailer_;
  const CheckedBlocks& blocks_;
  std::vector<Run> runs_;  // by `first`
};

}  // namespace haft

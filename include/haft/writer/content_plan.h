// Which contents an image holds, and in which order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/profile.h"
#include "haft/tree/tree.h"

namespace haft {

// Number of a content: of all files with the same bytes. Empty files have none.
using ContentId = std::uint32_t;

// A range of a content, in bytes.
struct ContentSlice {
  ContentId content;
  std::uint64_t offset;
  std::uint64_t size;

  bool operator==(const ContentSlice&) const = default;
};

// Blocks are filled from these, in order.
struct PlannedBlocks {
  // Either a single slice larger than a block, which gets blocks of its own, or small slices that
  // together fit into one block and lie in it back to back.
  std::vector<ContentSlice> slices;
  std::uint64_t size = 0;  // of all of them
  bool hot = false;        // of files that a start reads
};

// A file whose bytes are part of another one's, and are stored only there.
struct ContentPart {
  const TreeNode::File* file;
  const TreeNode::File* whole;  // no part itself
  std::uint64_t offset;         // in `whole`
};

// What the builder knows of a start.
struct StartLayout {
  std::vector<std::string> files;  // paths, in the order of first use; unknown ones are ignored
  // Of files that a start uses in part, which part: ascending, not touching one another. Rounded
  // outwards to 16 KiB.
  std::map<std::string, std::vector<format::ByteRange>> ranges;
  std::vector<ContentPart> parts;
};

// Finds identical files and orders what is left. First what a start reads: the files of its layout,
// in that order, or the parts of them that it uses; without one, compiled Python. Then the other
// parts of those files: a program that has loaded a library will call what is in it; but those of a
// file that consists of others (StartLayout::parts) count as no part of a start and come behind.
// Then all other files, in groups of one kind (compressing neighbours of one kind together saves
// most), depth first by path. Does not depend on `workers`. The tree has to outlive the plan and
// must not change.
class ContentPlan {
 public:
  // Reads those files whose size occurs more than once.
  static Result<ContentPlan> Make(const Tree& tree, const StartLayout& layout, unsigned workers);
  // Reads none: every file is a content of its own.
  static Result<ContentPlan> WithoutReading(const Tree& tree);

  // One file for each content.
  std::span<const TreeNode::File* const> contents() const { return contents_; }
  // Every byte of every content once, in the order of the image.
  std::span<const ContentSlice> slices() const { return slices_; }
  // The first `hot_count()` slices are of files that a start reads.
  std::size_t hot_count() const { return hot_count_; }
  // Part i has the id contents().size() + i.
  std::span<const ContentPart> parts() const { return parts_; }
  // Whether other files are parts of this content.
  bool HasParts(ContentId id) const { return wholes_.contains(id); }
  // nullopt: empty. REQUIRES: `file` is in the tree.
  std::optional<ContentId> ContentOf(const TreeNode::File& file) const;

  std::uint64_t file_count() const { return file_count_; }
  std::uint64_t content_size() const { return content_size_; }  // of all files
  std::uint64_t unique_size() const { return unique_size_; }    // of all contents

 private:
  // Places a new content, or of one that a start uses in part (`used`) that part; the others are
  // added to `unused`.
  using Ranges = std::span<const format::ByteRange>;
  void AddContent(const TreeNode::File& file, Ranges used, std::vector<ContentSlice>& unused);
  // Behind the start's files: places what is left of those used in part (`unused`), and says that
  // this was all of the start; then what is left of those that consist of other files (`others`).
  void EndHot(const std::vector<ContentSlice>& unused, const std::vector<ContentSlice>& others);

  std::vector<const TreeNode::File*> contents_;
  std::vector<ContentSlice> slices_;
  std::size_t hot_count_ = 0;
  std::vector<ContentPart> parts_;
  std::unordered_set<ContentId> wholes_;
  std::unordered_map<const TreeNode::File*, ContentId> ids_;
  std::uint64_t file_count_ = 0;
  std::uint64_t content_size_ = 0;
  std::uint64_t unique_size_ = 0;
};

// Deals the slices of a plan out to blocks of at most `block_size` bytes, those of a start to
// blocks of at most `hot_block_size`.
class BlockPlanner {
 public:
  BlockPlanner(const ContentPlan& plan, std::uint32_t block_size, std::uint32_t hot_block_size)
      : plan_(plan), block_size_(block_size), hot_block_size_(hot_block_size) {}
  // nullopt: all are dealt out.
  std::optional<PlannedBlocks> Next();

 private:
  const ContentPlan& plan_;
  const std::uint32_t block_size_;
  const std::uint32_t hot_block_size_;
  std::size_t next_ = 0;
  PlannedBlocks shared_;  // the block small slices go into, not full yet
};

}  // namespace haft

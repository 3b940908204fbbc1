// Which contents an image holds, and in which order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "haft/base/error.h"
#include "haft/pack/tree.h"

namespace haft {

// Number of a content: of all files with the same bytes. Empty files have none.
using ContentId = std::uint32_t;

// Blocks are filled from these, in order.
struct PlannedBlocks {
  // One: a file larger than a block, which gets blocks of its own. Several, or one that is not
  // larger: together they fit into one block and lie in it one after another.
  std::vector<ContentId> contents;
  std::uint64_t size = 0;  // of all of them
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
  std::vector<ContentPart> parts;
};

// Finds identical files and orders the rest. First what a start reads: the files of its layout, in
// that order; without one, compiled Python. Then all others. The latter are each in groups of one kind
// (compressing neighbours of one kind together saves most), depth first by path.
// Does not depend on `workers`. The tree has to outlive the plan and must not change.
class ContentPlan {
 public:
  // Reads those files whose size occurs more than once.
  static Result<ContentPlan> Make(const Tree& tree, const StartLayout& layout, unsigned workers);
  // Reads none: every file is a content of its own.
  static Result<ContentPlan> WithoutReading(const Tree& tree);

  // One file for each content.
  std::span<const TreeNode::File* const> contents() const { return contents_; }
  // The first `hot_count()` of them are read by a start.
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
  std::vector<const TreeNode::File*> contents_;
  std::vector<ContentPart> parts_;
  std::unordered_set<ContentId> wholes_;
  std::size_t hot_count_ = 0;
  std::unordered_map<const TreeNode::File*, ContentId> ids_;
  std::uint64_t file_count_ = 0;
  std::uint64_t content_size_ = 0;
  std::uint64_t unique_size_ = 0;
};

// Deals the contents of a plan out to blocks of at most `block_size` bytes, those of a start to blocks of at most
// `hot_block_size`.
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
  ContentId next_ = 0;
  PlannedBlocks shared_;  // the block small files go into, not full yet
};

}  // namespace haft

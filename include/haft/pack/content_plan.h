// Which contents an image holds, and in which order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
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

// Finds identical files and orders the rest: compiled Python first, because a start reads it and
// hardly anything else, then all other files, each depth first by path, so that files of one
// directory are neighbours. Does not depend on `workers`. The tree has to outlive the plan and must not
// change.
class ContentPlan {
 public:
  // Reads those files whose size occurs more than once.
  static Result<ContentPlan> Make(const Tree& tree, unsigned workers);
  // Reads none: every file is a content of its own.
  static Result<ContentPlan> WithoutReading(const Tree& tree);

  // One file for each content.
  std::span<const TreeNode::File* const> contents() const { return contents_; }
  // nullopt: empty. REQUIRES: `file` is in the tree.
  std::optional<ContentId> ContentOf(const TreeNode::File& file) const;

  std::uint64_t file_count() const { return file_count_; }
  std::uint64_t content_size() const { return content_size_; }  // of all files
  std::uint64_t unique_size() const { return unique_size_; }    // of all contents

 private:
  std::vector<const TreeNode::File*> contents_;
  std::unordered_map<const TreeNode::File*, ContentId> ids_;
  std::uint64_t file_count_ = 0;
  std::uint64_t content_size_ = 0;
  std::uint64_t unique_size_ = 0;
};

// Deals the contents of a plan out to blocks of at most `block_size` bytes.
class BlockPlanner {
 public:
  BlockPlanner(const ContentPlan& plan, std::uint32_t block_size)
      : plan_(plan), block_size_(block_size) {}
  // nullopt: all are dealt out.
  std::optional<PlannedBlocks> Next();

 private:
  const ContentPlan& plan_;
  const std::uint32_t block_size_;
  ContentId next_ = 0;
  PlannedBlocks shared_;  // the block small files go into, not full yet
};

}  // namespace haft

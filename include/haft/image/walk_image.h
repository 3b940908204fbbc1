#pragma once

#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/image/image_reader.h"

namespace haft {

// What a visitor wants next.
enum class WalkStep {
  kContinue,
  kSkip,  // not what is below this directory
  kStop,  // no more at all, without an error
};

struct WalkVisitor {
  // Every entry below the top: parents before children, names in bytewise order. `path` is relative
  // to the top, without a slash in front, and not longer than format::kMaxPathSize.
  std::function<Result<WalkStep>(const DirectoryEntry& entry, const std::string& path)> visit;
  // All below a directory was visited; the top, at last, is "". May be empty.
  std::function<Result<>(const std::string& path)> leave = {};
  // Something in the directory `path` cannot be read; an error ends the walk. Empty: the walk ends
  // with this error and the path.
  std::function<Result<>(Error error, const std::string& path)> damaged = {};
};

// The one way through a tree of an image: what its files cost does not depend on what it says. No
// recursion; an inode is visited once at most; paths and depth are bounded by format::kMaxPathSize;
// memory by that, whatever the number of entries. `top` must be a directory.
Result<> WalkImage(const ImageReader& reader, InodeId top, const WalkVisitor& visitor);

}  // namespace haft

#include "prefetch_plan.h"

#include <string_view>
#include <unordered_set>

#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/python/bootstrap.h"
#include "import_index.h"

namespace haft {
namespace {

// More than this is not a start any more: the kernel would throw out what it fetched first.
constexpr std::uint64_t kMaxPrefetch = 128u << 20;

class Planner {
 public:
  Planner(const Tree& tree, const std::vector<ContentPart>& parts) : tree_(tree) {
    for (const ContentPart& part : parts) indexed_.insert(part.file);
  }

  // Python lists the directory of a package once it looks for what the index does not have there,
  // which is rare.
  void DirectoryWithoutModules(const std::string& path) {
    const TreeNode* cache = tree_.Find(JoinPath(path, "__pycache__"));
    if (cache != nullptr && cache->directory() != nullptr) {
      for (const auto& [name, child] : cache->directory()->children) {
        if (child->file() != nullptr && indexed_.contains(child->file())) return;
      }
    }
    Directory(path);
  }

  void Directory(const std::string& path) {
    const TreeNode* node = tree_.Find(path);
    if (node == nullptr || node->directory() == nullptr || !directories_.insert(path).second)
      return;
    prefetch_.push_back({.path = path + "/"});
  }

  void File(const std::string& path, const format::Profile& profile) {
    const TreeNode* node = tree_.Find(path);
    if (node == nullptr || node->file() == nullptr) return;
    if (indexed_.contains(node->file())) {
      if (!std::exchange(has_index_, true)) Whole(std::string(format::kImportIndexPath));
      return;
    }
    if (path.contains('/')) Directory(std::string(DirName(path)));
    auto ranges = profile.ranges.find(path);
    if (ranges == profile.ranges.end()) return Whole(path);
    for (const format::ByteRange& range : ranges->second) {
      if (Fits(range.size)) prefetch_.push_back({.path = path, .range = range});
    }
  }

  // The kernel remembers also that there is no such file.
  void Missing(const std::string& path) {
    if (tree_.Find(path) == nullptr) prefetch_.push_back({.path = path});
  }

  std::vector<format::Prefetch> Take() && { return std::move(prefetch_); }

 private:
  void Whole(const std::string& path) {
    const std::uint64_t size = tree_.Find(path)->file()->size;
    if (size != 0 && Fits(size)) prefetch_.push_back({.path = path});
  }
  bool Fits(std::uint64_t size) {
    if (size > kMaxPrefetch - size_) return false;
    size_ += size;
    return true;
  }

  const Tree& tree_;
  std::unordered_set<const TreeNode::File*> indexed_;
  std::unordered_set<std::string> directories_;
  std::vector<format::Prefetch> prefetch_;
  std::uint64_t size_ = 0;
  bool has_index_ = false;
};

}  // namespace

std::vector<format::Prefetch> PlanPrefetch(const Tree& tree, const format::Profile& profile,
                                           const std::vector<ContentPart>& parts,
                                           const std::vector<std::string>& paths) {
  Planner planner(tree, parts);
  planner.Directory(std::string(format::kBootstrapDirectory));
  for (const std::string& path : paths) planner.Directory(path);
  for (const std::string& path : profile.files) planner.File(path, profile);
  for (const std::string& path : profile.directories) planner.DirectoryWithoutModules(path);
  for (const std::string& path : profile.missing) planner.Missing(path);
  return std::move(planner).Take();
}

}  // namespace haft

#include "haft/pack/content_plan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "haft/format/checksum.h"
#include "haft/pack/parallel.h"

namespace haft {
namespace {

constexpr std::size_t kPiece = 128u << 10;

Result<format::ImageId> HashFile(const TreeNode::File& file) {
  static constexpr std::array<std::byte, kPiece> kZeros = {};
  FileReader reader = TRY(FileReader::Open(file.source, file.size));
  format::Hasher128 hasher;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kPiece, file.size));
  for (std::uint64_t offset = 0; offset < file.size;) {
    auto piece = std::span(buffer).first(std::min<std::uint64_t>(kPiece, file.size - offset));
    // Sparse files: zeros need not be read. A file of one piece is not worth the question.
    if (file.size > kPiece && reader.NextData(offset) >= offset + piece.size()) {
      hasher.Update(std::span(kZeros).first(piece.size()));
    } else {
      TRY(reader.Read(offset, piece));
      hasher.Update(piece);
    }
    offset += piece.size();
  }
  return hasher.Finish();
}

}  // namespace

Result<ContentPlan> ContentPlan::Make(const Tree& tree, unsigned workers) {
  ContentPlan plan;
  std::vector<const TreeNode::File*> files, others;
  std::unordered_map<std::uint64_t, std::uint32_t> size_counts;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    const TreeNode::File* file = node.file();
    if (file == nullptr) return;
    ++plan.file_count_;
    plan.content_size_ += file->size;
    if (file->size == 0) return;
    (path.ends_with(".pyc") ? files : others).push_back(file);
    ++size_counts[file->size];
  });
  files.insert(files.end(), others.begin(), others.end());
  if (files.size() > std::numeric_limits<ContentId>::max()) {
    return Failure(Error(ErrorKind::kUnsupported, "more than 2^32 files"));
  }

  std::vector<const TreeNode::File*> candidates;
  for (const TreeNode::File* file : files) {
    if (size_counts.at(file->size) > 1) candidates.push_back(file);
  }
  std::vector<format::ImageId> hashes(candidates.size());
  TRY(ParallelFor(candidates.size(), workers, [&](std::size_t i) -> Result<> {
    hashes[i] = TRY(HashFile(*candidates[i]));
    return {};
  }));

  // Both lists are in the same order, so the first of several identical files gives the content its
  // place.
  std::map<std::pair<std::uint64_t, format::ImageId>, ContentId> known;
  std::size_t candidate = 0;
  for (const TreeNode::File* file : files) {
    auto id = static_cast<ContentId>(plan.contents_.size());
    if (candidate < candidates.size() && candidates[candidate] == file) {
      id = known.emplace(std::pair(file->size, hashes[candidate++]), id).first->second;
    }
    plan.ids_.emplace(file, id);
    if (id < plan.contents_.size()) continue;
    plan.contents_.push_back(file);
    plan.unique_size_ += file->size;
  }
  return plan;
}

Result<ContentPlan> ContentPlan::WithoutReading(const Tree& tree) {
  ContentPlan plan;
  tree.Walk([&](const std::string&, const TreeNode& node) {
    const TreeNode::File* file = node.file();
    if (file == nullptr) return;
    ++plan.file_count_;
    plan.content_size_ += file->size;
    if (file->size == 0) return;
    plan.ids_.emplace(file, static_cast<ContentId>(plan.contents_.size()));
    plan.contents_.push_back(file);
  });
  plan.unique_size_ = plan.content_size_;
  if (plan.contents_.size() > std::numeric_limits<ContentId>::max()) {
    return Failure(Error(ErrorKind::kUnsupported, "more than 2^32 files"));
  }
  return plan;
}

std::optional<ContentId> ContentPlan::ContentOf(const TreeNode::File& file) const {
  auto found = ids_.find(&file);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<PlannedBlocks> BlockPlanner::Next() {
  while (next_ < plan_.contents().size()) {
    ContentId id = next_++;
    std::uint64_t size = plan_.contents()[id]->size;
    if (size > block_size_) return PlannedBlocks{{id}, size};
    if (shared_.size + size > block_size_) {
      return std::exchange(shared_, PlannedBlocks{{id}, size});
    }
    shared_.contents.push_back(id);
    shared_.size += size;
  }
  if (shared_.contents.empty()) return std::nullopt;
  return std::exchange(shared_, {});
}

}  // namespace haft

#include "haft/writer/content_plan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "haft/base/parallel.h"
#include "haft/base/path.h"
#include "haft/format/digest.h"

namespace haft {
namespace {

constexpr std::size_t kPiece = 128u << 10;

Result<format::Digest> HashFile(const TreeNode::File& file) {
  static constexpr std::array<std::byte, kPiece> kZeros = {};
  FileReader reader = TRY(FileReader::Open(file.source, file.size));
  format::Sha256 hasher;
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

bool IsCompiled(std::string_view path) {
  return path.ends_with(".pyc");
}

// What a file's name says about its contents: its suffix, in lower case. Compiled translations hold
// the texts of their sources and get the suffix of those: the two are neighbours then, a seventh
// smaller. (Compiled Python gains nothing so.)
std::string KindOfName(std::string_view path) {
  const std::string_view name = BaseName(path);
  std::size_t dot = name.rfind('.');
  std::string kind(dot == name.npos || dot == 0 ? "." : name.substr(dot));
  for (char& c : kind) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return kind == ".mo" ? ".po" : kind;
}

// Smaller files are not worth extents for every part.
constexpr std::uint64_t kMinSplit = 64u << 10;
// Nor is a smaller part: a profile made by hand may name thousands.
constexpr std::uint64_t kPartAlignment = 16u << 10;

// The ranges, rounded outwards, as far as they lie within a file of `size` bytes; none if the file
// is to be taken as a whole.
std::vector<format::ByteRange> PartsOf(const std::vector<format::ByteRange>& ranges,
                                       std::uint64_t size) {
  std::vector<format::ByteRange> parts;
  if (size < kMinSplit) return parts;
  for (const format::ByteRange& range : ranges) {
    if (range.offset >= size || range.size == 0) continue;
    const std::uint64_t begin = range.offset / kPartAlignment * kPartAlignment;
    const std::uint64_t last = range.offset + std::min(range.size, size - range.offset) - 1;
    parts.push_back({begin, std::min((last / kPartAlignment + 1) * kPartAlignment, size) - begin});
  }
  parts = format::Normalised(std::move(parts));
  if (parts.size() == 1 && parts.front().size == size) parts.clear();
  return parts;
}

// What the ascending `ranges` leave of `size` bytes.
std::vector<format::ByteRange> Complement(std::span<const format::ByteRange> ranges,
                                          std::uint64_t size) {
  std::vector<format::ByteRange> gaps;
  std::uint64_t position = 0;
  for (const format::ByteRange& range : ranges) {
    if (range.offset > position) gaps.push_back({position, range.offset - position});
    position = range.offset + range.size;
  }
  if (position < size) gaps.push_back({position, size - position});
  return gaps;
}

// The files of a start in the order of its layout.
struct StartFiles {
  std::vector<const TreeNode::File*> files;
  // Of those used in part.
  std::unordered_map<const TreeNode::File*, std::vector<format::ByteRange>> ranges;
  std::unordered_set<const TreeNode::File*> placed;  // these, and parts of others
};

StartFiles FindStartFiles(const Tree& tree, const StartLayout& layout) {
  StartFiles start;
  for (const ContentPart& part : layout.parts) start.placed.insert(part.file);
  for (const std::string& path : layout.files) {
    const TreeNode* node = tree.Find(path);
    if (node == nullptr || node->file() == nullptr || node->file()->size == 0) continue;
    if (!start.placed.insert(node->file()).second) continue;
    start.files.push_back(node->file());
    auto found = layout.ranges.find(path);
    if (found == layout.ranges.end()) continue;
    if (auto parts = PartsOf(found->second, node->file()->size); !parts.empty())
      start.ranges.emplace(node->file(), std::move(parts));
  }
  return start;
}

// Of those files whose size occurs more than once.
Result<std::unordered_map<const TreeNode::File*, format::Digest>> HashesOf(
    const std::vector<const TreeNode::File*>& files, unsigned workers) {
  std::unordered_map<std::uint64_t, std::uint32_t> size_counts;
  for (const TreeNode::File* file : files) ++size_counts[file->size];
  std::vector<const TreeNode::File*> candidates;
  for (const TreeNode::File* file : files) {
    if (size_counts.at(file->size) > 1) candidates.push_back(file);
  }
  std::vector<format::Digest> hashes(candidates.size());
  TRY(ParallelFor(candidates.size(), workers, [&](std::size_t i) -> Result<> {
    hashes[i] = TRY(HashFile(*candidates[i]));
    return {};
  }));
  std::unordered_map<const TreeNode::File*, format::Digest> hash_of;
  for (std::size_t i = 0; i < candidates.size(); ++i) hash_of.emplace(candidates[i], hashes[i]);
  return hash_of;
}

}  // namespace

Result<ContentPlan> ContentPlan::Make(const Tree& tree, const StartLayout& layout,
                                      unsigned workers) {
  ContentPlan plan;
  StartFiles start = FindStartFiles(tree, layout);
  std::vector<const TreeNode::File*> files = std::move(start.files);
  // Nobody has watched a start: it reads compiled Python and hardly anything else.
  const bool unwatched = layout.files.empty();
  std::vector<std::pair<std::string, const TreeNode::File*>> rest;  // with the kind
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    const TreeNode::File* file = node.file();
    if (file == nullptr) return;
    ++plan.file_count_;
    plan.content_size_ += file->size;
    if (file->size == 0 || start.placed.contains(file)) return;
    if (unwatched && IsCompiled(path)) {
      files.push_back(file);
    } else {
      rest.emplace_back(KindOfName(path), file);
    }
  });
  const std::size_t hot = files.size();
  std::ranges::stable_sort(rest, {},
                           [](const auto& entry) -> const std::string& { return entry.first; });
  for (const auto& [kind, file] : rest) files.push_back(file);
  if (files.size() + layout.parts.size() > std::numeric_limits<ContentId>::max()) {
    return Failure(Error(ErrorKind::kUnsupported, "more than 2^32 files"));
  }

  const auto hashes = TRY(HashesOf(files, workers));
  // The first of several identical files gives the content its place.
  std::map<std::pair<std::uint64_t, format::Digest>, ContentId> known;
  std::vector<ContentSlice> unused;  // parts of files that a start uses
  std::vector<ContentSlice> others;  // the same of files that consist of others
  std::unordered_set<const TreeNode::File*> wholes;
  for (const ContentPart& part : layout.parts) wholes.insert(part.whole);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const TreeNode::File* file = files[i];
    if (i == hot) plan.EndHot(unused, others);
    auto id = static_cast<ContentId>(plan.contents_.size());
    if (auto hash = hashes.find(file); hash != hashes.end())
      id = known.emplace(std::pair(file->size, hash->second), id).first->second;
    plan.ids_.emplace(file, id);
    if (id < plan.contents_.size()) continue;
    auto used = start.ranges.find(file);
    plan.AddContent(*file, used == start.ranges.end() ? Ranges() : Ranges(used->second),
                    wholes.contains(file) ? others : unused);
  }
  if (hot == files.size()) plan.EndHot(unused, others);
  for (const ContentPart& part : layout.parts) {
    plan.ids_.emplace(part.file,
                      static_cast<ContentId>(plan.contents_.size() + plan.parts_.size()));
    plan.parts_.push_back(part);
    if (auto whole = plan.ContentOf(*part.whole)) plan.wholes_.insert(*whole);
  }
  return plan;
}

void ContentPlan::AddContent(const TreeNode::File& file, Ranges used,
                             std::vector<ContentSlice>& unused) {
  const auto id = static_cast<ContentId>(contents_.size());
  contents_.push_back(&file);
  unique_size_ += file.size;
  if (used.empty()) {
    slices_.push_back({id, 0, file.size});
    return;
  }
  for (const format::ByteRange& range : used) slices_.push_back({id, range.offset, range.size});
  for (const format::ByteRange& range : Complement(used, file.size))
    unused.push_back({id, range.offset, range.size});
}

void ContentPlan::EndHot(const std::vector<ContentSlice>& unused,
                         const std::vector<ContentSlice>& others) {
  slices_.insert(slices_.end(), unused.begin(), unused.end());
  hot_count_ = slices_.size();
  slices_.insert(slices_.end(), others.begin(), others.end());
}

Result<ContentPlan> ContentPlan::WithoutReading(const Tree& tree) {
  ContentPlan plan;
  tree.Walk([&](const std::string&, const TreeNode& node) {
    const TreeNode::File* file = node.file();
    if (file == nullptr) return;
    ++plan.file_count_;
    plan.content_size_ += file->size;
    if (file->size == 0) return;
    const auto id = static_cast<ContentId>(plan.contents_.size());
    plan.ids_.emplace(file, id);
    plan.contents_.push_back(file);
    plan.slices_.push_back({id, 0, file->size});
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
  while (next_ < plan_.slices().size()) {
    const bool hot = next_ < plan_.hot_count();
    const ContentSlice& slice = plan_.slices()[next_++];
    const std::uint32_t limit = hot ? hot_block_size_ : block_size_;
    if (slice.size > limit) return PlannedBlocks{{slice}, slice.size, hot};
    // A start's files share no block with others: nothing is decoded in vain.
    const bool others = !shared_.slices.empty() && hot != shared_.hot;
    if (shared_.size + slice.size > limit || others) {
      return std::exchange(shared_, PlannedBlocks{{slice}, slice.size, hot});
    }
    shared_.slices.push_back(slice);
    shared_.size += slice.size;
    shared_.hot = hot;
  }
  if (shared_.slices.empty()) return std::nullopt;
  return std::exchange(shared_, {});
}

}  // namespace haft

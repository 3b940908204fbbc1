#include "index_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "haft/format/digest.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

template <typename T>
std::span<const std::byte> BytesOf(const T& range) {
  return std::as_bytes(std::span(range));
}

// Passes bytes on to a sink in chunks and keeps each one's digest.
class ChunkedWriter {
 public:
  explicit ChunkedWriter(ByteSink& sink) : sink_(sink) { chunk_.reserve(format::kChunkSize); }

  Result<> Append(std::span<const std::byte> data) {
    while (!data.empty()) {
      auto part = data.first(std::min(data.size(), format::kChunkSize - chunk_.size()));
      chunk_.insert(chunk_.end(), part.begin(), part.end());
      size_ += part.size();
      data = data.subspan(part.size());
      if (chunk_.size() == format::kChunkSize) TRY(Flush());
    }
    return {};
  }

  // Pads to 8 bytes; returns the digests.
  Result<std::vector<format::Digest>> Finish() {
    static constexpr std::array<std::byte, 8> kZeros = {};
    TRY(Append(std::span(kZeros).first((8 - size_ % 8) % 8)));
    if (!chunk_.empty()) TRY(Flush());
    return std::move(digests_);
  }

 private:
  Result<> Flush() {
    digests_.push_back(format::Sha256Of(chunk_));
    TRY(sink_.Append(chunk_));
    chunk_.clear();
    return {};
  }

  ByteSink& sink_;
  std::vector<std::byte> chunk_;
  std::vector<format::Digest> digests_;
  std::uint64_t size_ = 0;
};

// The string heap. Equal strings share their bytes ("__init__.py" is stored once); the strings
// added have to outlive the heap.
class StringHeap {
 public:
  std::uint64_t Add(std::string_view text) {
    auto [place, added] = offsets_.emplace(text, bytes_.size());
    if (added) bytes_ += text;
    return place->second;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::unordered_map<std::string_view, std::uint64_t> offsets_;
};

struct Row {
  const TreeNode* node;
  std::string_view name;
  std::uint32_t parent;
};

// Rows in the order of the table. kUnsupported if there are too many.
Result<std::vector<Row>> BreadthFirst(const Tree& tree) {
  std::vector<Row> rows = {{&tree.root(), "", 0}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TreeNode::Directory* directory = rows[i].node->directory();
    if (directory == nullptr) continue;
    if (directory->children.size() > format::kMaxInodes - rows.size()) {
      return Failure(Error(ErrorKind::kUnsupported, "more than 2^31 - 1 files"));
    }
    for (const auto& [name, child] : directory->children) {
      rows.push_back({child.get(), name, static_cast<std::uint32_t>(i)});
    }
  }
  return rows;
}

class InodeEncoder {
 public:
  InodeEncoder(const ContentPlan& plan, const ContentTables& tables, StringHeap& heap)
      : plan_(plan), tables_(tables), heap_(heap) {}

  // REQUIRES: called for all rows, in order.
  format::Inode Encode(const Row& row) {
    const NodeAttributes& attributes = row.node->attributes;
    format::Inode inode{.mode = attributes.mode & format::kModeMask,
                        .parent = row.parent,
                        .mtime = attributes.mtime,
                        .mtime_nanoseconds = attributes.mtime_nanoseconds,
                        .name_size = static_cast<std::uint32_t>(row.name.size()),
                        .name_offset = heap_.Add(row.name),
                        .links = 1};
    if (const TreeNode::Directory* directory = row.node->directory()) {
      inode.mode |= S_IFDIR;
      inode.first = next_child_;
      inode.count = static_cast<std::uint32_t>(directory->children.size());
      inode.links = 2;
      for (const auto& [name, child] : directory->children) {
        if (child->directory() != nullptr) ++inode.links;
      }
      next_child_ += inode.count;
    } else if (const TreeNode::File* file = row.node->file()) {
      inode.mode |= S_IFREG;
      inode.size = file->size;
      if (std::optional<ContentId> content = plan_.ContentOf(*file)) {
        inode.first = tables_.rows[*content].first;
        inode.count = tables_.rows[*content].count;
      }
    } else {
      const std::string& target = row.node->symlink()->target;
      inode.mode |= S_IFLNK;
      inode.size = target.size();
      inode.first = heap_.Add(target);
    }
    return inode;
  }

 private:
  const ContentPlan& plan_;
  const ContentTables& tables_;
  StringHeap& heap_;
  std::uint64_t next_child_ = 1;
};

}  // namespace

Result<IndexSummary> WriteIndex(const Tree& tree, const ContentPlan& plan,
                                const ContentTables& tables, ByteSink& sink) {
  std::vector<Row> rows = TRY(BreadthFirst(tree));
  ChunkedWriter writer(sink);
  StringHeap heap;
  InodeEncoder encoder(plan, tables, heap);
  for (const Row& row : rows) {
    format::Inode inode = encoder.Encode(row);
    TRY(writer.Append(std::as_bytes(std::span(&inode, 1))));
  }
  TRY(writer.Append(BytesOf(tables.extents)));
  TRY(writer.Append(BytesOf(tables.blocks)));
  TRY(writer.Append(BytesOf(heap.bytes())));
  IndexSummary summary{.inode_count = rows.size(), .string_size = heap.bytes().size()};
  summary.chunk_digests = TRY(writer.Finish());
  return summary;
}

}  // namespace haft

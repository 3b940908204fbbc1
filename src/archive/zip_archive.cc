#include "haft/archive/zip_archive.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checksum.h"
#include "haft/base/file_io.h"
#include "haft/base/mutex.h"
#include "haft/base/path.h"
#include "haft/format/layout.h"
#include "zip_stream.h"
#include "zip_text.h"

namespace haft {
namespace {

// Entries are read in pieces of this size: as long as a block of the images made of them.
constexpr std::uint64_t kPiece = format::kDefaultBlockSize;
constexpr std::size_t kStreams = 2;
constexpr std::size_t kTrail = ZipArchive::kMemoryBytes / kPiece / kStreams;

// A large entry being decoded, and the last pieces of it: going back a little, as several workers
// or the kernel's read-ahead do, does not start over. An entry of up to kTrail pieces is decoded
// once.
struct OpenEntry {
  std::uint32_t entry;
  std::optional<zip::Stream> stream;         // none: the end was reached
  std::uint64_t next = 0;                    // piece the stream would give
  std::deque<std::vector<std::byte>> trail;  // pieces [next - trail.size(), next)
  std::uint64_t used = 0;

  const std::vector<std::byte>* Find(std::uint64_t piece) const {
    if (piece >= next || next - piece > trail.size()) return nullptr;
    return &trail[trail.size() - (next - piece)];
  }
};

}  // namespace

struct ZipArchive::Impl {
  UniqueFd file;
  std::string path;
  ZipDirectory directory;

  Mutex mutex;
  zip::ArchiveHandle archive HAFT_GUARDED_BY(mutex);
  std::unordered_map<std::uint32_t, Error> damaged HAFT_GUARDED_BY(mutex);
  // Of entries with several pieces that have been found right: the checksum of each piece.
  std::unordered_map<std::uint32_t, std::vector<std::uint64_t>> checksums HAFT_GUARDED_BY(mutex);
  std::vector<OpenEntry> open HAFT_GUARDED_BY(mutex);
  std::uint64_t clock HAFT_GUARDED_BY(mutex) = 0;

  std::uint64_t PieceSize(const ZipEntry& entry, std::uint64_t piece) const {
    return std::min(kPiece, entry.size - piece * kPiece);
  }
  Result<zip::Stream> OpenStream(std::uint32_t index) HAFT_REQUIRES(mutex) {
    return zip::Stream::Open(archive.get(), index, directory.entries[index], path);
  }
  Error Changed(const ZipEntry& entry) const {
    return Error::Corrupt(zip::EntryText(path, entry.name, "changed while the archive was open"));
  }

  Result<> Load(std::uint32_t index, std::uint64_t piece, std::span<std::byte> out);
  Result<> LoadLocked(std::uint32_t index, std::uint64_t piece, std::span<std::byte> out,
                      bool& in_place) HAFT_REQUIRES(mutex);
  Result<> Verify(std::uint32_t index, std::uint64_t piece, std::span<std::byte> out)
      HAFT_REQUIRES(mutex);
  Result<> ReadStored(std::uint32_t index, std::uint64_t piece, std::span<std::byte> out);
  Result<> ReadPacked(std::uint32_t index, std::uint64_t piece, std::span<std::byte> out)
      HAFT_REQUIRES(mutex);
  OpenEntry& Reopen(std::uint32_t index) HAFT_REQUIRES(mutex);
  Result<const std::vector<std::byte>*> Advance(OpenEntry& entry) HAFT_REQUIRES(mutex);
  Result<> OpenEntries();
  Result<> CheckEmpty(std::uint32_t index) HAFT_REQUIRES(mutex);
  Result<> Check(std::uint32_t index);
  // Remembers damage, forgets half decoded entries.
  Result<> Note(std::uint32_t index, Result<> done) HAFT_REQUIRES(mutex);
};

Result<> ZipArchive::Impl::Note(std::uint32_t index, Result<> done) {
  if (done) return done;
  std::erase_if(open, [&](const OpenEntry& entry) { return entry.entry == index; });
  // Anything but damage may be over the next time.
  if (done.error().kind() == ErrorKind::kCorrupt) damaged.emplace(index, done.error());
  return done;
}

// Whole pieces only.
Result<> ZipArchive::Impl::Load(std::uint32_t index, std::uint64_t piece,
                                std::span<std::byte> out) {
  bool in_place = false;
  {
    MutexLock lock(mutex);
    if (auto found = damaged.find(index); found != damaged.end()) return Failure(found->second);
    TRY(Note(index, LoadLocked(index, piece, out, in_place)));
  }
  return in_place ? ReadStored(index, piece, out) : Result<>();
}

Result<> ZipArchive::Impl::Check(std::uint32_t index) {
  const ZipEntry& entry = directory.entries[index];
  if (entry.size == 0) return {};  // seen by Open()
  MutexLock lock(mutex);
  if (auto found = damaged.find(index); found != damaged.end()) return Failure(found->second);
  if (entry.size > kPiece) return Note(index, Verify(index, 0, {}));
  std::vector<std::byte> bytes(entry.size);
  bool in_place = false;
  return Note(index, LoadLocked(index, 0, bytes, in_place));
}

// `in_place` is set if the piece has to be read from the file itself, which needs no lock.
Result<> ZipArchive::Impl::LoadLocked(std::uint32_t index, std::uint64_t piece,
                                      std::span<std::byte> out, bool& in_place) {
  const ZipEntry& entry = directory.entries[index];
  if (entry.size <= kPiece) {
    zip::Stream stream = TRY(OpenStream(index));
    return stream.Next(out);  // all of it, so it is checked
  }
  if (!checksums.contains(index)) return Verify(index, piece, out);
  in_place = entry.method == ZipMethod::kStored;
  return in_place ? Result<>() : ReadPacked(index, piece, out);
}

// Decodes all of an entry, keeps the checksums, and fills `out` (unless it is empty) with piece
// number `piece`.
Result<> ZipArchive::Impl::Verify(std::uint32_t index, std::uint64_t piece,
                                  std::span<std::byte> out) {
  const ZipEntry& entry = directory.entries[index];
  std::vector<std::uint64_t> sums;
  auto take = [&](std::span<const std::byte> bytes) {
    if (sums.size() == piece && !out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    sums.push_back(zip::Checksum(bytes));
  };
  const std::uint64_t pieces = (entry.size + kPiece - 1) / kPiece;
  if (entry.method == ZipMethod::kStored) {  // read in place later: nothing is worth keeping
    zip::Stream stream = TRY(OpenStream(index));
    std::vector<std::byte> buffer(kPiece);
    for (std::uint64_t i = 0; i < pieces; ++i) {
      auto bytes = std::span(buffer).first(PieceSize(entry, i));
      TRY(stream.Next(bytes));
      take(bytes);
    }
  } else {
    OpenEntry& opened = Reopen(index);
    for (std::uint64_t i = 0; i < pieces; ++i) take(*TRY(Advance(opened)));
  }
  checksums.insert_or_assign(index, std::move(sums));
  return {};
}

Result<> ZipArchive::Impl::ReadStored(std::uint32_t index, std::uint64_t piece,
                                      std::span<std::byte> out) {
  const ZipEntry& entry = directory.entries[index];
  std::uint64_t expected;
  {
    MutexLock lock(mutex);
    expected = checksums.at(index)[piece];
  }
  TRY(ReadExactly(file.get(), out, entry.data_offset + piece * kPiece));
  if (zip::Checksum(out) != expected) return Failure(Changed(entry));
  return {};
}

Result<> ZipArchive::Impl::ReadPacked(std::uint32_t index, std::uint64_t piece,
                                      std::span<std::byte> out) {
  auto found = std::ranges::find(open, index, &OpenEntry::entry);
  const std::vector<std::byte>* bytes = found == open.end() ? nullptr : found->Find(piece);
  if (bytes == nullptr) {
    bool behind = found == open.end() || found->next > piece;
    OpenEntry& opened = behind ? Reopen(index) : *found;
    while (opened.next <= piece) bytes = TRY(Advance(opened));
    found = std::ranges::find(open, index, &OpenEntry::entry);
  }
  found->used = ++clock;
  if (bytes->size() != out.size() || zip::Checksum(*bytes) != checksums.at(index)[piece]) {
    return Failure(Changed(directory.entries[index]));
  }
  std::memcpy(out.data(), bytes->data(), out.size());
  return {};
}

// A place to decode `index` from its start; the one not used for longest has to go.
OpenEntry& ZipArchive::Impl::Reopen(std::uint32_t index) {
  auto place = std::ranges::find(open, index, &OpenEntry::entry);
  if (place == open.end() && open.size() >= kStreams)
    place = std::ranges::min_element(open, {}, &OpenEntry::used);
  if (place == open.end()) place = open.emplace(open.end());
  place->entry = index;
  place->stream.reset();
  place->next = 0;
  place->trail.clear();
  place->used = ++clock;
  return *place;
}

// Decodes the next piece.
Result<const std::vector<std::byte>*> ZipArchive::Impl::Advance(OpenEntry& opened) {
  const ZipEntry& entry = directory.entries[opened.entry];
  if (opened.next == 0) opened.stream.emplace(TRY(OpenStream(opened.entry)));
  std::vector<std::byte> bytes;
  if (opened.trail.size() == kTrail) {
    bytes = std::move(opened.trail.front());
    opened.trail.pop_front();
  }
  bytes.resize(PieceSize(entry, opened.next));
  TRY(opened.stream->Next(bytes));
  opened.trail.push_back(std::move(bytes));
  ++opened.next;
  if (opened.next * kPiece >= entry.size) opened.stream.reset();
  return &opened.trail.back();
}

// An empty file's contents are never asked for, so whether it is one has to be seen at once.
Result<> ZipArchive::Impl::CheckEmpty(std::uint32_t index) {
  const ZipEntry& entry = directory.entries[index];
  if (entry.compressed_size == 0) return {};
  if (entry.compressed_size == 2 && entry.method == ZipMethod::kDeflate) {
    // What every deflate makes of nothing: one empty block.
    constexpr std::array<std::byte, 2> kNothing = {std::byte{0x03}, std::byte{0x00}};
    std::array<std::byte, 2> bytes;
    TRY(ReadExactly(file.get(), bytes, entry.data_offset));
    if (bytes == kNothing) return {};
  }
  zip::Stream stream = TRY(OpenStream(index));
  return stream.Next({});
}

// libzip must see what our directory says, be able to unpack it, and find empty files empty.
Result<> ZipArchive::Impl::OpenEntries() {
  MutexLock lock(mutex);
  const std::vector<ZipEntry>& entries = directory.entries;
  if (!entries.empty()) {
    archive = TRY(zip::OpenArchive(file.get(), directory.base, path));
    if (zip_get_num_entries(archive.get(), 0) != static_cast<zip_int64_t>(entries.size())) {
      return Failure(
          Error::Corrupt(fmt::format("{}: libzip sees another directory", Quoted(path))));
    }
  }
  // A matter of how libzip was built.
  const bool has_bzip2 =
      zip_compression_method_supported(std::to_underlying(ZipMethod::kBzip2), 0) != 0;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    const ZipEntry& entry = entries[i];
    if (entry.method == ZipMethod::kBzip2 && !has_bzip2) {
      return Failure(Error(
          ErrorKind::kUnsupported,
          zip::EntryText(path, entry.name, "is packed with bzip2, which this libzip cannot")));
    }
    if (entry.size == 0 && entry.type == ZipEntryType::kFile) TRY(CheckEmpty(i));
  }
  return {};
}

Result<std::shared_ptr<ZipArchive>> ZipArchive::Open(UniqueFd file, std::string path) {
  auto impl = std::make_unique<Impl>();
  impl->file = std::move(file);
  impl->path = std::move(path);
  impl->directory = TRY(ZipDirectory::Read(impl->file.get(), impl->path));
  TRY(impl->OpenEntries());
  return std::shared_ptr<ZipArchive>(new ZipArchive(std::move(impl)));
}

ZipArchive::ZipArchive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ZipArchive::~ZipArchive() = default;

const ZipDirectory& ZipArchive::directory() const {
  return impl_->directory;
}
const std::string& ZipArchive::path() const {
  return impl_->path;
}
int ZipArchive::fd() const {
  return impl_->file.get();
}

Result<> ZipArchive::Check(std::uint32_t index) {
  return impl_->Check(index);
}

std::string ZipArchive::MemberOrigin(std::uint32_t member) const {
  return fmt::format("{}/{}", impl_->path, impl_->directory.entries[member].name);
}

std::uint64_t ZipArchive::MemberSize(std::uint32_t member) const {
  return impl_->directory.entries[member].size;
}

Result<> ZipArchive::ReadMember(std::uint32_t member, std::uint64_t offset,
                                std::span<std::byte> out) {
  const ZipEntry& entry = impl_->directory.entries[member];
  assert(FitsWithin(offset, out.size(), entry.size));
  std::vector<std::byte> buffer;
  while (!out.empty()) {
    const std::uint64_t piece = offset / kPiece, inside = offset % kPiece;
    const std::uint64_t size = impl_->PieceSize(entry, piece);
    const std::size_t part = std::min<std::uint64_t>(out.size(), size - inside);
    if (part == size) {
      TRY(impl_->Load(member, piece, out.first(part)));
    } else {
      buffer.resize(size);
      TRY(impl_->Load(member, piece, buffer));
      std::memcpy(out.data(), buffer.data() + inside, part);
    }
    offset += part;
    out = out.subspan(part);
  }
  return {};
}

Result<std::string> ZipArchive::LinkTarget(std::uint32_t index) {
  const ZipEntry& entry = impl_->directory.entries[index];
  std::string target(entry.size, '\0');
  TRY(ReadMember(index, 0, std::as_writable_bytes(std::span(target))));
  if (target.find('\0') == target.npos) return target;
  return Failure(
      Error::Corrupt(zip::EntryText(impl_->path, entry.name, "the link's target has a zero byte")));
}

// --- as a source of a tree ---

Result<std::uint64_t> AddArchive(const std::shared_ptr<ZipArchive>& archive, Tree& tree,
                                 const ZipPlacement& placement,
                                 const std::function<void(std::uint64_t)>& progress) {
  const std::vector<ZipEntry>& entries = archive->directory().entries;
  std::uint64_t files = 0;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    const ZipEntry& entry = entries[i];
    std::optional<std::string> path = placement ? placement(entry.name) : entry.name;
    if (!path) continue;
    const NodeAttributes attributes{.mode = entry.mode, .mtime = entry.mtime};
    switch (entry.type) {
      case ZipEntryType::kDirectory:
        TRY(tree.AddDirectory(*path, attributes, archive->MemberOrigin(i)));
        break;
      case ZipEntryType::kSymlink:
        TRY(tree.AddSymlink(*path, attributes, TRY(archive->LinkTarget(i)),
                            archive->MemberOrigin(i)));
        break;
      case ZipEntryType::kFile:
        TRY(tree.AddFile(*path, attributes, entry.size, FileSource::InArchive(archive, i)));
        ++files;
        if (progress) progress(files);
        break;
    }
  }
  return files;
}

Result<std::uint64_t> AddInputZip(const std::string& path, std::string_view where, Tree& tree,
                                  const std::function<void(std::uint64_t)>& progress,
                                  std::uint64_t max_bytes) {
  auto archive = TRY(ZipArchive::Open(TRY(OpenFile(path, O_RDONLY)), path));
  if (std::uint64_t size = archive->directory().content_size; size > max_bytes) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("{}: would unpack to {} bytes, at most {} are allowed",
                                     Quoted(path), size, max_bytes)));
  }
  if (!where.empty()) TRY(tree.AddDirectory(where, kGeneratedDirectory, path));
  return AddArchive(
      archive, tree, [&](std::string_view name) { return JoinPath(where, name); }, progress);
}

}  // namespace haft

#include "haft/archive/zip_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "checksum.h"
#include "haft/base/file_io.h"
#include "haft/base/text.h"
#include "haft/base/utf8.h"
#include "window_reader.h"
#include "zip_end.h"
#include "zip_records.h"
#include "zip_text.h"

namespace haft {
namespace {

using zip::Bytes;
using zip::CentralRecord;
using zip::LocalRecord;

constexpr std::int64_t kNoTime = 315532800;   // 1980-01-01
constexpr std::uint16_t kNewestVersion = 63;  // of the specification, as Python knows it

// Directories that no entry names, but paths go through: each costs memory, and a path of 4 KB has
// 2048 of them. So many, and more for each entry.
constexpr std::uint64_t kMaxImplied = 4096;
constexpr std::uint64_t kMaxImpliedPerEntry = 8;

// How many components of `path` are not below each other in `before` as well, which comes before it
// in the order of zip::PathLess().
std::uint64_t NewComponents(std::string_view before, std::string_view path) {
  const auto same =
      static_cast<std::size_t>(std::ranges::mismatch(before, path).in2 - path.begin());
  // The component with the first difference is new, unless `before` is the directory above.
  const bool above = same > 0 && same == before.size() && same < path.size() && path[same] == '/';
  return static_cast<std::uint64_t>(std::ranges::count(path.substr(same), '/')) + (above ? 0 : 1);
}

// What is needed of an entry only until its local header is checked.
struct Pending {
  std::uint64_t header_offset;  // from the start of the file
  std::uint16_t time, date;
  bool directory_name;         // ends with '/'
  std::uint64_t unicode_path;  // checksum of that extra field, 0: none
};

std::uint64_t UnicodePath(Bytes extra) {
  std::optional<Bytes> field = zip::FindExtra(extra, zip::kExtraUnicodePath);
  return field ? zip::Checksum(*field) : 0;
}

std::int64_t TimeOf(const CentralRecord& record, Bytes extra) {
  if (auto field = zip::FindExtra(extra, zip::kExtraTime); field && field->size() >= 5) {
    bool has_mtime = (std::to_integer<unsigned>((*field)[0]) & 1u) != 0;
    if (has_mtime) return static_cast<std::int32_t>(zip::Fields(field->subspan(1)).U32());
  }
  return zip::FromDosTime(record.date, record.time).value_or(kNoTime);
}

class DirectoryReader {
 public:
  DirectoryReader(int fd, const std::string& file) : fd_(fd), file_(file) {}

  Result<ZipDirectory> Run() {
    end_ = TRY(zip::FindEndOfDirectory(fd_, file_));
    directory_.base = end_.base;
    TRY(ReadEntries());
    TRY(CheckPlaces());
    TRY(CheckNames());
    return std::move(directory_);
  }

 private:
  Error Wrong(std::string_view why) const {
    return Error::Corrupt(fmt::format("{}: {}", Quoted(file_), why));
  }
  Error Wrong(std::string_view name, std::string_view why) const {
    return Error::Corrupt(zip::EntryText(file_, name, why));
  }
  Error Unsupported(std::string_view name, std::string_view why) const {
    return Error(ErrorKind::kUnsupported, zip::EntryText(file_, name, why));
  }

  Result<> ReadEntries();
  Result<> CheckFeatures(const CentralRecord& record, std::string_view name) const;
  Result<> AddEntry(CentralRecord record, std::string_view name, Bytes extra);
  Result<ZipEntryType> TypeOf(const CentralRecord& record, std::string_view name) const;
  Result<> CheckContent(const ZipEntry& entry) const;
  Result<> CheckPlaces();
  Result<> CheckLocal(ZipEntry& entry, const Pending& pending, std::uint64_t limit);
  Result<> CheckSizes(const ZipEntry& entry, const LocalRecord& local) const;
  Result<std::uint64_t> DescriptorSize(const ZipEntry& entry, std::uint64_t position) const;
  Result<> CheckNames() const;

  const int fd_;
  const std::string& file_;
  zip::EndOfDirectory end_ = {};
  ZipDirectory directory_;
  std::vector<Pending> pending_;   // as directory_.entries
  std::vector<std::byte> buffer_;  // a local header
};

// The central directory: exactly as many records as it says, filling it exactly.
Result<> DirectoryReader::ReadEntries() {
  zip::WindowReader reader(fd_, end_.directory_offset, end_.directory_offset + end_.directory_size);
  directory_.entries.reserve(end_.entry_count);
  pending_.reserve(end_.entry_count);
  for (std::uint64_t i = 0; i < end_.entry_count; ++i) {
    std::optional<CentralRecord> record;
    if (reader.left() >= zip::kCentralSize)
      record = zip::ParseCentral(TRY(reader.Peek(zip::kCentralSize)));
    if (!record) {
      return Failure(Wrong(fmt::format("says it has {} entries, but its central directory has {}",
                                       end_.entry_count, i)));
    }
    const std::size_t size =
        zip::kCentralSize + record->name_size + record->extra_size + record->comment_size;
    if (size > reader.left())
      return Failure(Wrong(fmt::format("its central directory ends inside of entry {}", i)));
    Bytes bytes = TRY(reader.Peek(size));
    TRY(AddEntry(*record, AsText(bytes.subspan(zip::kCentralSize, record->name_size)),
                 bytes.subspan(zip::kCentralSize + record->name_size, record->extra_size)));
    reader.Skip(size);
  }
  if (reader.left() != 0) {
    return Failure(
        Wrong(fmt::format("says it has {} entries, but its central directory has {} more bytes",
                          end_.entry_count, reader.left())));
  }
  directory_.digest = reader.Digest();
  return {};
}

// Features of the format that are not supported.
Result<> DirectoryReader::CheckFeatures(const CentralRecord& record, std::string_view name) const {
  if (record.disk != 0) return Failure(Unsupported(name, "is on another disk of the archive"));
  if ((record.flags &
       (zip::kFlagEncrypted | zip::kFlagStrongEncryption | zip::kFlagMaskedHeader)) != 0) {
    return Failure(Unsupported(name, "is encrypted"));
  }
  if (record.method != std::to_underlying(ZipMethod::kStored) &&
      record.method != std::to_underlying(ZipMethod::kDeflate) &&
      record.method != std::to_underlying(ZipMethod::kBzip2)) {
    return Failure(Unsupported(
        name, fmt::format("is packed with method {}; possible are 0 (stored), 8 (deflate) "
                          "and 12 (bzip2)",
                          record.method)));
  }
  if ((record.version_needed & 0xFF) > kNewestVersion) {
    return Failure(Unsupported(name, fmt::format("needs version {}.{} of the zip format",
                                                 (record.version_needed & 0xFF) / 10,
                                                 (record.version_needed & 0xFF) % 10)));
  }
  return {};
}

Result<> DirectoryReader::AddEntry(CentralRecord record, std::string_view name, Bytes extra) {
  if (!zip::ExtraIsWellFormed(extra)) return Failure(Wrong(name, "its extra fields are damaged"));
  if (!zip::ApplyZip64(record, extra))
    return Failure(Wrong(name, "its zip64 field is missing or too short"));
  TRY(CheckFeatures(record, name));

  const bool directory_name = name.ends_with('/');
  const std::string_view path = directory_name ? name.substr(0, name.size() - 1) : name;
  if (auto problem = zip::NameProblem(path); !problem.empty()) return Failure(Wrong(name, problem));
  if ((record.flags & zip::kFlagUtf8) != 0 && !IsUtf8(name)) {
    return Failure(Wrong(name, "its name is not UTF-8, as it says"));
  }

  const std::uint32_t attributes = record.external_attributes >> 16;
  const ZipEntryType type = TRY(TypeOf(record, name));
  ZipEntry entry{.name = std::string(path),
                 .type = type,
                 .method = ZipMethod{record.method},
                 .mode = attributes & 0777,
                 .crc = record.crc,
                 .mtime = TimeOf(record, extra),
                 .size = record.size,
                 .compressed_size = record.compressed_size,
                 .data_offset = 0};
  if (entry.type == ZipEntryType::kSymlink) {
    entry.mode = 0777;
  } else if (attributes == 0) {
    entry.mode = entry.type == ZipEntryType::kDirectory ? 0755 : 0644;
  }
  TRY(CheckContent(entry));
  // Offsets count from the base. Both are checked again in CheckPlaces().
  if (!FitsWithin(end_.base, record.header_offset, end_.directory_offset)) {
    return Failure(Wrong(name, "its data would lie behind the central directory"));
  }
  directory_.content_size +=
      entry.size;  // at most kMaxZipRatio * 2^63 / entry header: checked below
  if (directory_.content_size > format::kMaxFileSize)
    return Failure(Wrong(name, "claims more bytes than are possible"));
  directory_.entries.push_back(std::move(entry));
  pending_.push_back({.header_offset = end_.base + record.header_offset,
                      .time = record.time,
                      .date = record.date,
                      .directory_name = directory_name,
                      .unicode_path = UnicodePath(extra)});
  return {};
}

Result<ZipEntryType> DirectoryReader::TypeOf(const CentralRecord& record,
                                             std::string_view name) const {
  const std::uint32_t type = (record.external_attributes >> 16) & S_IFMT;
  if (name.ends_with('/')) {
    if (type == S_IFLNK)
      return Failure(Wrong(name, "is a symbolic link by its mode and a directory by its name"));
    return ZipEntryType::kDirectory;
  }
  switch (type) {
    case S_IFLNK:
      return ZipEntryType::kSymlink;
    case 0:
    case S_IFREG:
    case S_IFDIR:  // without '/' at the end: what Python and unzip make of it
      return ZipEntryType::kFile;
    default:
      if (record.size > 0) return ZipEntryType::kFile;
      return Failure(Unsupported(name, "is neither file, directory nor symbolic link"));
  }
}

// Sizes that go with the type and the method.
Result<> DirectoryReader::CheckContent(const ZipEntry& entry) const {
  if (entry.size > format::kMaxFileSize)
    return Failure(Wrong(entry.name, fmt::format("claims {} bytes", entry.size)));
  if (entry.type == ZipEntryType::kDirectory) {
    // Java writes directories as deflated nothing: two bytes.
    bool nothing = entry.compressed_size == 0 ||
                   (entry.compressed_size == 2 && entry.method == ZipMethod::kDeflate);
    if (entry.size != 0 || !nothing) return Failure(Wrong(entry.name, "is a directory with data"));
  }
  if (entry.type == ZipEntryType::kSymlink &&
      (entry.size == 0 || entry.size > format::kMaxTargetSize)) {
    return Failure(
        Wrong(entry.name, fmt::format("the link's target has {} bytes, possible are 1 to {}",
                                      entry.size, format::kMaxTargetSize)));
  }
  if (entry.size == 0 && entry.crc != 0)
    return Failure(Wrong(entry.name, "is empty, but its CRC is not 0"));
  if (entry.method == ZipMethod::kStored && entry.size != entry.compressed_size) {
    return Failure(Wrong(entry.name, fmt::format("is stored, but its sizes differ: {} and {}",
                                                 entry.size, entry.compressed_size)));
  }
  if (entry.size > 0 && (entry.size - 1) / kMaxZipRatio >= entry.compressed_size) {
    return Failure(
        Wrong(entry.name, fmt::format("claims to unpack {} bytes to {}, more than {} times as many",
                                      entry.compressed_size, entry.size, kMaxZipRatio)));
  }
  return {};
}

// Local headers and data, in the order in which they lie: none reaches into the next.
Result<> DirectoryReader::CheckPlaces() {
  std::vector<std::uint32_t> order(pending_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return pending_[i].header_offset; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    bool last = i + 1 == order.size();
    std::uint64_t limit = last ? end_.directory_offset : pending_[order[i + 1]].header_offset;
    TRY(CheckLocal(directory_.entries[order[i]], pending_[order[i]], limit));
  }
  return {};
}

Result<> DirectoryReader::CheckLocal(ZipEntry& entry, const Pending& pending, std::uint64_t limit) {
  constexpr std::size_t kUsualExtra = 64;
  const std::string name = pending.directory_name ? entry.name + "/" : entry.name;
  auto overlaps = [&] {
    return Failure(Wrong(name, "overlaps another entry or the central directory"));
  };
  const std::uint64_t start = pending.header_offset;
  if (limit - start < zip::kLocalSize) return overlaps();
  buffer_.resize(
      std::min<std::uint64_t>(limit - start, zip::kLocalSize + name.size() + kUsualExtra));
  TRY(ReadExactly(fd_, buffer_, start));
  std::optional<LocalRecord> local = zip::ParseLocal(buffer_);
  if (!local) return Failure(Wrong(name, "its local header is missing"));
  const std::size_t header_size = zip::kLocalSize + local->name_size + local->extra_size;
  if (!FitsWithin(header_size, entry.compressed_size, limit - start)) {
    // A longer name is the better explanation.
    if (local->name_size == name.size()) return overlaps();
    return Failure(Wrong(name, "its local header has another name"));
  }
  if (header_size > buffer_.size()) {
    buffer_.resize(header_size);
    TRY(ReadExactly(fd_, buffer_, start));
  }
  if (AsText(Bytes(buffer_).subspan(zip::kLocalSize, local->name_size)) != name) {
    return Failure(Wrong(name, "its local header has another name"));
  }
  Bytes extra = Bytes(buffer_).subspan(zip::kLocalSize + local->name_size, local->extra_size);
  if (!zip::ExtraIsWellFormed(extra))
    return Failure(Wrong(name, "the extra fields of its local header are damaged"));
  if (!zip::ApplyZip64(*local, extra))
    return Failure(Wrong(name, "the zip64 field of its local header is missing"));
  if ((local->flags & zip::kFlagEncrypted) != 0) return Failure(Unsupported(name, "is encrypted"));
  if (local->method != std::to_underlying(entry.method) || local->time != pending.time ||
      local->date != pending.date || UnicodePath(extra) != pending.unicode_path) {
    return Failure(Wrong(name, "its local header contradicts the central directory"));
  }
  TRY(CheckSizes(entry, *local));
  entry.data_offset = start + header_size;
  if ((local->flags & zip::kFlagDescriptor) != 0) {
    const std::uint64_t end = entry.data_offset + entry.compressed_size;
    if (TRY(DescriptorSize(entry, end)) > limit - end) return overlaps();
  }
  return {};
}

Result<> DirectoryReader::CheckSizes(const ZipEntry& entry, const LocalRecord& local) const {
  // With a descriptor behind the data the header may leave them out.
  const bool may_be_absent = (local.flags & zip::kFlagDescriptor) != 0;
  auto agrees = [&](std::uint64_t there, std::uint64_t here) {
    return here == there || (may_be_absent && (here == 0 || here == zip::kMax32));
  };
  if (agrees(entry.crc, local.crc) && agrees(entry.size, local.size) &&
      agrees(entry.compressed_size, local.compressed_size)) {
    return {};
  }
  return Failure(
      Wrong(entry.name, "sizes or CRC in its local header contradict the central directory"));
}

// Bytes of the data descriptor at `position`. It comes with 4- or 8-byte sizes, with or without
// signature. Nobody needs it, and some programs write none or a wrong one: then 0.
Result<std::uint64_t> DirectoryReader::DescriptorSize(const ZipEntry& entry,
                                                      std::uint64_t position) const {
  std::array<std::byte, 24> buffer;
  const std::size_t available =
      std::min<std::uint64_t>(buffer.size(), end_.directory_offset - position);
  auto bytes = std::span(buffer).first(available);
  TRY(ReadExactly(fd_, bytes, position));
  for (std::size_t start : {std::size_t{4}, std::size_t{0}}) {
    if (start == 4 && zip::SignatureOf(bytes) != zip::kDescriptorSignature) continue;
    for (std::size_t width : {std::size_t{8}, std::size_t{4}}) {
      if (start + 4 + 2 * width > available) continue;
      zip::Fields fields(Bytes(bytes).subspan(start));
      if (fields.U32() != entry.crc) continue;
      std::uint64_t compressed = width == 8 ? fields.U64() : fields.U32();
      std::uint64_t size = width == 8 ? fields.U64() : fields.U32();
      if (compressed == entry.compressed_size && size == entry.size) return start + 4 + 2 * width;
    }
  }
  return 0;
}

Result<> DirectoryReader::CheckNames() const {
  const std::vector<ZipEntry>& entries = directory_.entries;
  std::vector<std::uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, zip::PathLess,
                    [&](std::uint32_t i) -> std::string_view { return entries[i].name; });
  std::uint64_t nodes = order.empty() ? 0 : NewComponents("", entries[order[0]].name);
  // What is below a path, and the path itself once more, comes right behind it.
  for (std::size_t i = 1; i < order.size(); ++i) {
    const ZipEntry& above = entries[order[i - 1]];
    const ZipEntry& entry = entries[order[i]];
    bool above_is_directory = above.type == ZipEntryType::kDirectory;
    if (above.name == entry.name) {
      bool same = above_is_directory == (entry.type == ZipEntryType::kDirectory);
      return Failure(Wrong(entry.name, same ? "is there twice" : "is both a file and a directory"));
    }
    if (!above_is_directory && entry.name.starts_with(above.name) &&
        entry.name[above.name.size()] == '/') {
      return Failure(Wrong(above.name, "is both a file and a directory"));
    }
    nodes += NewComponents(above.name, entry.name);
  }
  if (nodes - entries.size() > kMaxImplied + kMaxImpliedPerEntry * entries.size())
    return Failure(Wrong("its paths go through too many directories that no entry names"));
  return {};
}

}  // namespace

Result<ZipDirectory> ZipDirectory::Read(int fd, const std::string& file) {
  return DirectoryReader(fd, file).Run();
}

}  // namespace haft

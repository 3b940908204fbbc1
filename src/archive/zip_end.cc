#include "zip_end.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/format/layout.h"
#include "zip_records.h"

namespace haft {
namespace zip {
namespace {

constexpr std::string_view kEndText("PK\5\6", 4);
constexpr std::size_t kMaxCommentSize = 65535;

// The end of a file, as much as an end record with the longest comment needs.
struct Tail {
  std::vector<std::byte> bytes;
  std::uint64_t offset;  // in the file
};

Result<Tail> ReadTail(int fd) {
  std::uint64_t file_size = TRY(FileSize(fd));
  std::size_t size = std::min<std::uint64_t>(file_size, kEndSize + kMaxCommentSize);
  Tail tail{.bytes = std::vector<std::byte>(size), .offset = file_size - size};
  TRY(ReadExactly(fd, tail.bytes, tail.offset));
  return tail;
}

// End records in a tail, as offsets into it.
struct EndRecords {
  std::vector<std::size_t> complete;  // their comment ends with the file
  bool others = false;
};

EndRecords FindEndRecords(const Tail& tail) {
  EndRecords found;
  std::string_view text = AsText(tail.bytes);
  for (std::size_t at = text.find(kEndText); at != text.npos; at = text.find(kEndText, at + 1)) {
    if (text.size() - at < kEndSize) break;
    std::uint16_t comment_size = Fields(Bytes(tail.bytes).subspan(at + 20)).U16();
    if (text.size() - at - kEndSize == comment_size) {
      found.complete.push_back(at);
    } else {
      found.others = true;
    }
  }
  return found;
}

struct End64 {
  std::uint64_t position;  // of the record in the file
  EndOfDirectory end;
};

class EndReader {
 public:
  EndReader(int fd, const std::string& file) : fd_(fd), file_(file) {}

  Result<EndOfDirectory> Run() {
    Tail tail = TRY(ReadTail(fd_));
    EndRecords records = FindEndRecords(tail);
    if (records.complete.empty()) {
      if (!records.others)
        return Failure(Error::Invalid(fmt::format("{}: not a zip archive", Quoted(file_))));
      return Failure(Wrong(
          "not a zip archive, or bytes are missing or added at its end: no end record's comment "
          "ends with the file"));
    }
    if (records.complete.size() > 1) {
      return Failure(Wrong("ambiguous: has more than one end record"));
    }
    const std::uint64_t position = tail.offset + records.complete[0];
    auto bytes = Bytes(tail.bytes).subspan(records.complete[0], kEndSize);
    std::optional<End64> end64 = TRY(ReadEnd64(position));
    if (end64) return Place(end64->end, end64->position, &end64->end.base);
    Fields fields(bytes);
    fields.Skip(4);
    std::uint16_t disk = fields.U16(), directory_disk = fields.U16();
    std::uint16_t disk_entries = fields.U16(), entries = fields.U16();
    if (disk != 0 || directory_disk != 0 || disk_entries != entries)
      return Failure(MultipleDisks());
    EndOfDirectory end{
        .entry_count = entries, .directory_offset = 0, .directory_size = fields.U32(), .base = 0};
    end.directory_offset = fields.U32();
    return Place(end, position, nullptr);
  }

 private:
  Error Wrong(std::string_view why) const {
    return Error::Corrupt(fmt::format("{}: {}", Quoted(file_), why));
  }
  Error MultipleDisks() const {
    return Error(ErrorKind::kUnsupported,
                 fmt::format("{}: one of several disks of an archive", Quoted(file_)));
  }

  // The zip64 end record before the end record at `end_position`; nullopt if there is none. Its
  // locator tells where, but not if a program was put in front: then it is right before the
  // locator.
  Result<std::optional<End64>> ReadEnd64(std::uint64_t end_position) const {
    if (end_position < kLocator64Size) return std::nullopt;
    const std::uint64_t locator_position = end_position - kLocator64Size;
    std::array<std::byte, kLocator64Size> locator;
    TRY(ReadExactly(fd_, locator, locator_position));
    if (SignatureOf(locator) != kLocator64Signature) return std::nullopt;
    Fields fields(locator);
    fields.Skip(4);
    std::uint32_t disk = fields.U32();
    std::uint64_t offset = fields.U64();
    std::uint32_t disks = fields.U32();
    if (disk != 0 || disks > 1) return Failure(MultipleDisks());
    if (locator_position >= kEnd64Size) {
      auto found = TRY(ParseEnd64(locator_position - kEnd64Size, offset, locator_position));
      if (found) return found;
    }
    auto found = TRY(ParseEnd64(offset, offset, locator_position));
    if (found) return found;
    return Failure(Wrong("the zip64 end record is missing"));
  }

  // `base` of the result is what the locator implies, directory_offset still counts from it.
  Result<std::optional<End64>> ParseEnd64(std::uint64_t position, std::uint64_t located,
                                          std::uint64_t locator_position) const {
    if (located > position || !FitsWithin(position, kEnd64Size, locator_position))
      return std::nullopt;
    std::array<std::byte, kEnd64Size> record;
    TRY(ReadExactly(fd_, record, position));
    if (SignatureOf(record) != kEnd64Signature) return std::nullopt;
    Fields fields(record);
    fields.Skip(16);  // signature, size of the record, versions
    std::uint32_t disk = fields.U32(), directory_disk = fields.U32();
    std::uint64_t disk_entries = fields.U64();
    End64 found{.position = position, .end = {}};
    found.end.base = position - located;
    found.end.entry_count = fields.U64();
    found.end.directory_size = fields.U64();
    found.end.directory_offset = fields.U64();
    if (disk != 0 || directory_disk != 0 || disk_entries != found.end.entry_count) {
      return Failure(MultipleDisks());
    }
    return found;
  }

  // The directory ends at `limit`, where its end record begins; so its size and offset tell the
  // base.
  Result<EndOfDirectory> Place(EndOfDirectory end, std::uint64_t limit,
                               const std::uint64_t* located_base) const {
    if (end.directory_size > limit || end.directory_offset > limit - end.directory_size) {
      return Failure(Wrong("its central directory would lie outside of the file"));
    }
    const std::uint64_t start = limit - end.directory_size;
    end.base = start - end.directory_offset;
    end.directory_offset = start;
    if (located_base != nullptr && *located_base != end.base) {
      return Failure(Wrong("its zip64 locator and its end record contradict each other"));
    }
    if (end.base > 0 && !TRY(StartsWithProgram())) {
      return Failure(
          Wrong(fmt::format("{} bytes that are no program in front of the archive, or between its "
                            "directory and its end record",
                            end.base)));
    }
    // Before anything is allocated for them.
    if (end.entry_count > end.directory_size / kCentralSize ||
        end.entry_count > format::kMaxInodes) {
      return Failure(
          Wrong(fmt::format("says it has {} entries, but its central directory has {} bytes",
                            end.entry_count, end.directory_size)));
    }
    return end;
  }

  Result<bool> StartsWithProgram() const {
    std::array<std::byte, SELFMAG> magic;
    TRY(ReadExactly(fd_, magic, 0));
    std::string_view text = AsText(magic);
    return text.starts_with("#!") || text == std::string_view(ELFMAG, SELFMAG);
  }

  const int fd_;
  const std::string& file_;
};

}  // namespace

Result<EndOfDirectory> FindEndOfDirectory(int fd, const std::string& file) {
  return EndReader(fd, file).Run();
}

}  // namespace zip

bool LooksLikeZip(int fd) {
  auto tail = zip::ReadTail(fd);
  if (!tail) return false;
  zip::EndRecords records = zip::FindEndRecords(*tail);
  return !records.complete.empty() || records.others;
}

}  // namespace haft

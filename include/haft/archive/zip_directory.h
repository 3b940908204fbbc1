// The central directory of a zip file, read and checked by our own rules before libzip sees the
// file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/layout.h"

namespace haft {

enum class ZipEntryType : std::uint8_t { kFile, kDirectory, kSymlink };

// The methods an entry may be packed with. Any other is refused.
enum class ZipMethod : std::uint16_t { kStored = 0, kDeflate = 8, kBzip2 = 12 };

struct ZipEntry {
  std::string name;  // the bytes in the archive, whatever their encoding; without a directory's '/'
  ZipEntryType type;
  ZipMethod method;
  std::uint32_t mode;  // permission bits, within 0777
  std::uint32_t crc;
  std::int64_t mtime;  // seconds since 1970-01-01 00:00 UTC
  std::uint64_t size;
  std::uint64_t compressed_size;
  std::uint64_t data_offset;  // of the packed bytes, from the start of the file
};

// Deflate cannot do better, and no entry may claim more: what an archive unpacks to is bounded by
// its size.
inline constexpr std::uint64_t kMaxZipRatio = 1032;

// What is accepted, beyond what the format says:
// * exactly one end record, whose comment ends where the file ends; one disk; as many entries as it
//   says; in front of the archive nothing, or a program or script ("#!", ELF), whether offsets
//   count it or not
// * entries (header, data, descriptor) that overlap neither each other nor the directory, with a
//   local header that says what the directory says: name, method, time, sizes, CRC
// * not encrypted; stored, deflate or bzip2; at most kMaxZipRatio times the packed size
// * names: no zero byte, '..', '.', empty component or leading '/'; within the limits of
//   docs/format.md; valid UTF-8 where the entry says it is; no name twice, none both a file and a
//   directory. A trailing '/' makes a directory, whatever the mode says
// * directories without data, symbolic links with a target of 1 to 4095 bytes. Devices, pipes and
//   sockets are regular files if they have data (Info-ZIP marks its standard input as a pipe)
// Modes are the permission bits of the high half of the external attributes, whatever system made
// the entry, as Python, pip and shiv read them; 0644, and 0755 for directories, where that half is
// 0. Times are the extended timestamp, else the DOS time as UTC, else (not a date) 1980-01-01.
struct ZipDirectory {
  std::vector<ZipEntry> entries;   // in the order of the directory: the position is libzip's index
  std::uint64_t base = 0;          // offsets in the archive count from here
  std::uint64_t content_size = 0;  // of all entries, unpacked
  format::Digest digest = {};      // of the central directory: names, attributes, sizes and CRCs

  // `file` is for messages: "'FILE': entry 'NAME': WHY". Memory is proportional to the bytes of the
  // directory, whatever counts and sizes it claims; nothing is decoded. kInvalidInput: not a zip
  // file at all.
  static Result<ZipDirectory> Read(int fd, const std::string& file);
};

// Whether the file ends as a zip file does: cheap, and enough to tell it from a haft image.
bool LooksLikeZip(int fd);

}  // namespace haft

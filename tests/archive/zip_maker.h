// Zip files written field by field, so that every field can be wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/unique_fd.h"

namespace haft::testing {

std::uint32_t Crc32(std::string_view data);
std::string Deflate(std::string_view data);
// Little-endian.
std::string Le16(std::uint64_t value);
std::string Le32(std::uint64_t value);
std::string Le64(std::uint64_t value);
// An extra field.
std::string Extra(std::uint16_t id, std::string_view data);

// What is not set is as it should be.
struct MadeEntry {
  std::string name;
  std::string data;
  std::uint16_t method = 0;  // 8: deflated
  std::uint32_t mode = 0100644;
  std::uint16_t flags = 0;
  std::uint16_t version_needed = 20;
  std::uint8_t system = 3;
  std::uint16_t time = 0;
  std::uint16_t date = 0x21;  // 1980-01-01
  std::string extra;          // of the central header
  std::string local_extra;
  std::string comment;
  // The bytes behind the data, if flag bit 3 is set: nothing is written for "".
  enum class Descriptor {
    kNone,
    kWithSignature,
    kWithoutSignature,
    kWide,
    kWrong
  } descriptor = Descriptor::kNone;

  // Wrong ones.
  std::optional<std::string> packed;  // data as stored
  std::optional<std::string> local_name;
  std::optional<std::uint16_t> local_method;
  std::optional<std::uint16_t> local_flags;
  std::optional<std::uint16_t> local_date;
  std::optional<std::uint32_t> crc;  // in both headers
  std::optional<std::uint32_t> local_crc;
  std::optional<std::uint32_t> size;  // in both headers
  std::optional<std::uint32_t> local_size;
  std::optional<std::uint32_t> compressed_size;
  std::optional<std::uint64_t> header_offset;
  std::uint16_t disk = 0;
  std::uint32_t signature = 0x02014b50;
};

struct MadeZip {
  std::vector<MadeEntry> entries;
  std::string stub;              // in front
  bool adjusted = false;         // whether offsets count the stub
  std::string before_directory;  // bytes between data and directory
  std::string before_end;        // bytes between directory and end record
  std::string comment;
  bool zip64 = false;            // end records of zip64, with the sizes and offsets only there
  std::string zip64_extensible;  // data at the end of the zip64 end record
  std::string tail;              // behind everything

  // Wrong ones.
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> directory_size;
  std::optional<std::uint64_t> directory_offset;
  std::optional<std::uint16_t> comment_size;
  std::optional<std::uint64_t> locator_offset;
  std::uint16_t disk = 0;

  std::string Bytes() const;
};

// The zip with these entries.
MadeZip ZipOf(std::vector<MadeEntry> entries);

// An open file without a name that holds `bytes`.
UniqueFd ZipFd(std::string_view bytes);

}  // namespace haft::testing

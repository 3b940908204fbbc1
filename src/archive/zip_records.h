// The records of a zip file as they lie in it (APPNOTE.TXT 6.3.9). Parsing only: no rule is checked
// here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace haft::zip {

inline constexpr std::uint32_t kLocalSignature = 0x04034b50;
inline constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
inline constexpr std::uint32_t kCentralSignature = 0x02014b50;
inline constexpr std::uint32_t kEndSignature = 0x06054b50;
inline constexpr std::uint32_t kEnd64Signature = 0x06064b50;
inline constexpr std::uint32_t kLocator64Signature = 0x07064b50;

inline constexpr std::size_t kLocalSize = 30;    // without name and extra fields
inline constexpr std::size_t kCentralSize = 46;  // without name, extra fields and comment
inline constexpr std::size_t kEndSize = 22;      // without comment
inline constexpr std::size_t kEnd64Size = 56;    // without extensible data
inline constexpr std::size_t kLocator64Size = 20;

inline constexpr std::uint16_t kMax16 = 0xFFFF;  // "look into the zip64 record"
inline constexpr std::uint32_t kMax32 = 0xFFFFFFFF;

// General purpose flags.
inline constexpr std::uint16_t kFlagEncrypted = 1u << 0;
inline constexpr std::uint16_t kFlagDescriptor = 1u << 3;
inline constexpr std::uint16_t kFlagStrongEncryption = 1u << 6;
inline constexpr std::uint16_t kFlagUtf8 = 1u << 11;
inline constexpr std::uint16_t kFlagMaskedHeader = 1u << 13;

// Extra fields.
inline constexpr std::uint16_t kExtraZip64 = 0x0001;
inline constexpr std::uint16_t kExtraTime = 0x5455;
inline constexpr std::uint16_t kExtraUnicodePath = 0x7075;

using Bytes = std::span<const std::byte>;

// Reads little-endian integers one after another. REQUIRES: the bytes are there.
class Fields {
 public:
  explicit Fields(Bytes bytes) : bytes_(bytes) {}
  std::uint16_t U16() { return Next<std::uint16_t>(); }
  std::uint32_t U32() { return Next<std::uint32_t>(); }
  std::uint64_t U64() { return Next<std::uint64_t>(); }
  void Skip(std::size_t size) { bytes_ = bytes_.subspan(size); }
  std::size_t left() const { return bytes_.size(); }

 private:
  template <typename T>
  T Next() {
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  Bytes bytes_;
};

inline std::uint32_t SignatureOf(Bytes bytes) {
  return bytes.size() < 4 ? 0 : Fields(bytes).U32();
}

struct CentralRecord {
  std::uint16_t version_needed;
  std::uint16_t flags;
  std::uint16_t method;
  std::uint16_t time;
  std::uint16_t date;
  std::uint32_t crc;
  std::uint64_t compressed_size;
  std::uint64_t size;
  std::uint16_t name_size;
  std::uint16_t extra_size;
  std::uint16_t comment_size;
  std::uint32_t disk;
  std::uint32_t external_attributes;
  std::uint64_t header_offset;
};

struct LocalRecord {
  std::uint16_t flags;
  std::uint16_t method;
  std::uint16_t time;
  std::uint16_t date;
  std::uint32_t crc;
  std::uint64_t compressed_size;
  std::uint64_t size;
  std::uint16_t name_size;
  std::uint16_t extra_size;
};

// nullopt: too few bytes or another signature.
std::optional<CentralRecord> ParseCentral(Bytes bytes);
std::optional<LocalRecord> ParseLocal(Bytes bytes);

// The first extra field `id`; nullopt if there is none.
std::optional<Bytes> FindExtra(Bytes extra, std::uint16_t id);
// Whether the fields fill the bytes exactly, up to three zeros aside (zipalign pads with them).
bool ExtraIsWellFormed(Bytes extra);

// Replaces the values that are at their maximum by those of the zip64 field; false if one is
// missing there.
bool ApplyZip64(CentralRecord& record, Bytes extra);
bool ApplyZip64(LocalRecord& record, Bytes extra);

// Seconds since 1970 for a DOS date and time taken as UTC; nullopt if it is no date.
std::optional<std::int64_t> FromDosTime(std::uint16_t date, std::uint16_t time);

}  // namespace haft::zip

#include "zip_records.h"

#include <chrono>

namespace haft::zip {

std::optional<CentralRecord> ParseCentral(Bytes bytes) {
  if (bytes.size() < kCentralSize || SignatureOf(bytes) != kCentralSignature) return std::nullopt;
  Fields fields(bytes);
  fields.Skip(6);  // signature, version made by
  CentralRecord record;
  record.version_needed = fields.U16();
  record.flags = fields.U16();
  record.method = fields.U16();
  record.time = fields.U16();
  record.date = fields.U16();
  record.crc = fields.U32();
  record.compressed_size = fields.U32();
  record.size = fields.U32();
  record.name_size = fields.U16();
  record.extra_size = fields.U16();
  record.comment_size = fields.U16();
  record.disk = fields.U16();
  fields.Skip(2);  // internal attributes
  record.external_attributes = fields.U32();
  record.header_offset = fields.U32();
  return record;
}

std::optional<LocalRecord> ParseLocal(Bytes bytes) {
  if (bytes.size() < kLocalSize || SignatureOf(bytes) != kLocalSignature) return std::nullopt;
  Fields fields(bytes);
  fields.Skip(6);  // signature, version needed
  LocalRecord record;
  record.flags = fields.U16();
  record.method = fields.U16();
  record.time = fields.U16();
  record.date = fields.U16();
  record.crc = fields.U32();
  record.compressed_size = fields.U32();
  record.size = fields.U32();
  record.name_size = fields.U16();
  record.extra_size = fields.U16();
  return record;
}

std::optional<Bytes> FindExtra(Bytes extra, std::uint16_t id) {
  while (extra.size() >= 4) {
    Fields fields(extra);
    std::uint16_t found = fields.U16();
    std::uint16_t size = fields.U16();
    if (size > extra.size() - 4) return std::nullopt;
    if (found == id) return extra.subspan(4, size);
    extra = extra.subspan(4 + std::size_t{size});
  }
  return std::nullopt;
}

bool ExtraIsWellFormed(Bytes extra) {
  while (extra.size() >= 4) {
    Fields fields(extra);
    fields.Skip(2);
    std::uint16_t size = fields.U16();
    if (size > extra.size() - 4) return false;
    extra = extra.subspan(4 + std::size_t{size});
  }
  for (std::byte padding : extra) {
    if (padding != std::byte{0}) return false;
  }
  return true;
}

bool ApplyZip64(CentralRecord& record, Bytes extra) {
  if (record.size != kMax32 && record.compressed_size != kMax32 && record.header_offset != kMax32 &&
      record.disk != kMax16) {
    return true;
  }
  std::optional<Bytes> field = FindExtra(extra, kExtraZip64);
  if (!field) return false;
  Fields fields(*field);
  for (std::uint64_t* value : {&record.size, &record.compressed_size, &record.header_offset}) {
    if (*value != kMax32) continue;
    if (fields.left() < 8) return false;
    *value = fields.U64();
  }
  if (record.disk == kMax16) {
    if (fields.left() < 4) return false;
    record.disk = fields.U32();
  }
  return true;
}

bool ApplyZip64(LocalRecord& record, Bytes extra) {
  if (record.size != kMax32 && record.compressed_size != kMax32) return true;
  std::optional<Bytes> field = FindExtra(extra, kExtraZip64);
  if (!field) return false;
  Fields fields(*field);
  for (std::uint64_t* value : {&record.size, &record.compressed_size}) {
    if (*value != kMax32) continue;
    if (fields.left() < 8) return false;
    *value = fields.U64();
  }
  return true;
}

std::optional<std::int64_t> FromDosTime(std::uint16_t date, std::uint16_t time) {
  using namespace std::chrono;
  year_month_day day(year(1980 + (date >> 9)), month((date >> 5) & 15u),
                     std::chrono::day(date & 31u));
  const unsigned hour = time >> 11u, minute = (time >> 5u) & 63u, second = (time & 31u) * 2;
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return sys_seconds(sys_days(day) + hours(hour) + minutes(minute) + seconds(second))
      .time_since_epoch()
      .count();
}

}  // namespace haft::zip

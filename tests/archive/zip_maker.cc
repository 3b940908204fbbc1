#include "zip_maker.h"

#include <zlib.h>

#include <cassert>

#include "haft/base/file_io.h"
#include "support/test_tree.h"

namespace haft::testing {

std::uint32_t Crc32(std::string_view data) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const unsigned char*>(data.data()), data.size()));
}

std::string Deflate(std::string_view data) {
  z_stream stream = {};
  // Negative window bits: no zlib header.
  [[maybe_unused]] int started =
      ::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  assert(started == Z_OK);
  std::string out(::deflateBound(&stream, data.size()) + 16, '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<unsigned>(data.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  [[maybe_unused]] int done = ::deflate(&stream, Z_FINISH);
  assert(done == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

namespace {

std::string LittleEndian(std::uint64_t value, unsigned size) {
  std::string bytes;
  for (unsigned i = 0; i < size; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFF);
  return bytes;
}

std::string DescriptorOf(const MadeEntry& entry, std::uint32_t crc, std::uint64_t packed,
                         std::uint64_t size) {
  switch (entry.descriptor) {
    case MadeEntry::Descriptor::kNone:
      return "";
    case MadeEntry::Descriptor::kWithSignature:
      return "PK\7\10" + Le32(crc) + Le32(packed) + Le32(size);
    case MadeEntry::Descriptor::kWithoutSignature:
      return Le32(crc) + Le32(packed) + Le32(size);
    case MadeEntry::Descriptor::kWide:
      return "PK\7\10" + Le32(crc) + Le64(packed) + Le64(size);
    case MadeEntry::Descriptor::kWrong:
      return "PK\7\10" + Le32(crc + 1) + Le32(packed) + Le32(size);
  }
  return "";
}

}  // namespace

std::string Le16(std::uint64_t value) {
  return LittleEndian(value, 2);
}
std::string Le32(std::uint64_t value) {
  return LittleEndian(value, 4);
}
std::string Le64(std::uint64_t value) {
  return LittleEndian(value, 8);
}

std::string Extra(std::uint16_t id, std::string_view data) {
  return Le16(id) + Le16(data.size()) + std::string(data);
}

std::string MadeZip::Bytes() const {
  std::string file = stub;
  const std::uint64_t base = adjusted ? 0 : stub.size();
  std::string directory;
  for (const MadeEntry& entry : entries) {
    const std::string packed = entry.packed        ? *entry.packed
                               : entry.method == 8 ? Deflate(entry.data)
                                                   : entry.data;
    const std::uint32_t crc = entry.crc.value_or(Crc32(entry.data));
    const std::uint64_t size = entry.size.value_or(entry.data.size());
    const std::uint64_t packed_size = entry.compressed_size.value_or(packed.size());
    const bool later = (entry.flags & 8) != 0;  // the local header leaves them out
    const std::uint64_t offset = file.size() - base;
    const std::string& local_name = entry.local_name.value_or(entry.name);
    file += "PK\3\4" + Le16(entry.version_needed) + Le16(entry.local_flags.value_or(entry.flags)) +
            Le16(entry.local_method.value_or(entry.method)) + Le16(entry.time) +
            Le16(entry.local_date.value_or(entry.date)) +
            Le32(entry.local_crc.value_or(later ? 0 : crc)) + Le32(later ? 0 : packed_size) +
            Le32(entry.local_size.value_or(later ? 0 : size)) + Le16(local_name.size()) +
            Le16(entry.local_extra.size()) + local_name + entry.local_extra + packed +
            DescriptorOf(entry, crc, packed_size, size);
    directory += Le32(entry.signature) + Le16(20u | (unsigned{entry.system} << 8)) +
                 Le16(entry.version_needed) + Le16(entry.flags) + Le16(entry.method) +
                 Le16(entry.time) + Le16(entry.date) + Le32(crc) + Le32(packed_size) + Le32(size) +
                 Le16(entry.name.size()) + Le16(entry.extra.size()) + Le16(entry.comment.size()) +
                 Le16(entry.disk) + Le16(0) + Le32(std::uint64_t{entry.mode} << 16) +
                 Le32(entry.header_offset.value_or(offset)) + entry.name + entry.extra +
                 entry.comment;
  }
  file += before_directory;
  const std::uint64_t start = directory_offset.value_or(file.size() - base);
  const std::uint64_t length = directory_size.value_or(directory.size());
  const std::uint64_t number = count.value_or(entries.size());
  file += directory + before_end;
  if (zip64) {
    const std::uint64_t end64 = file.size() - base;
    file += "PK\6\6" + Le64(44 + zip64_extensible.size()) + Le16(45) + Le16(45) + Le32(disk) +
            Le32(disk) + Le64(number) + Le64(number) + Le64(length) + Le64(start) +
            zip64_extensible;
    file += "PK\6\7" + Le32(disk) + Le64(locator_offset.value_or(end64)) + Le32(1);
    file += "PK\5\6" + Le16(disk) + Le16(disk) + Le16(0xFFFF) + Le16(0xFFFF) + Le32(0xFFFFFFFF) +
            Le32(0xFFFFFFFF);
  } else {
    file += "PK\5\6" + Le16(disk) + Le16(disk) + Le16(number) + Le16(number) + Le32(length) +
            Le32(start);
  }
  return file + Le16(comment_size.value_or(static_cast<std::uint16_t>(comment.size()))) + comment +
         tail;
}

MadeZip ZipOf(std::vector<MadeEntry> entries) {
  MadeZip zip;
  zip.entries = std::move(entries);
  return zip;
}

UniqueFd ZipFd(std::string_view bytes) {
  return MemoryFile(AsBytes(bytes));
}

}  // namespace haft::testing

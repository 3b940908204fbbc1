#include "haft/format/signature_area.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "haft/base/file_io.h"

namespace haft::format {
namespace {

constexpr std::size_t kRecordAlignment = 8;

constexpr std::size_t RecordSize(std::size_t signature_size) {
  const std::size_t size = sizeof(std::uint32_t) + signature_size;
  return (size + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

bool AllZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Result<std::vector<std::string>> ParseSignatureArea(std::span<const std::byte> area) {
  const Error damaged = Error::Corrupt("signatures: damaged");
  std::vector<std::string> signatures;
  while (area.size() >= kRecordAlignment) {
    std::uint32_t size;
    std::memcpy(&size, area.data(), sizeof size);
    if (size == 0) break;
    if (size > area.size() - sizeof size) return Failure(damaged);
    const std::size_t record = std::min(RecordSize(size), area.size());
    signatures.emplace_back(AsText(area.subspan(sizeof size, size)));
    if (!AllZero(area.subspan(sizeof size + size, record - sizeof size - size)))
      return Failure(damaged);
    area = area.subspan(record);
  }
  if (!AllZero(area)) return Failure(damaged);
  return signatures;
}

Result<std::string> MakeSignatureArea(std::span<const std::string> signatures) {
  std::string area;
  for (const std::string& signature : signatures) {
    const auto size = static_cast<std::uint32_t>(signature.size());
    const std::size_t end = area.size() + RecordSize(signature.size());
    if (signature.empty() || signature.size() > kSignatureAreaSize || end > kSignatureAreaSize) {
      return Failure(Error::Invalid(fmt::format(
          "no room for one more signature: all of them have {} bytes", kSignatureAreaSize)));
    }
    area.append(reinterpret_cast<const char*>(&size), sizeof size).append(signature);
    area.resize(end);
  }
  area.resize(kSignatureAreaSize);
  return area;
}

Result<std::vector<std::string>> ReadSignatures(int fd, const BundleFile& bundle) {
  std::vector<std::byte> area(bundle.trailer.signature_size);
  TRY(ReadExactly(fd, area, bundle.image_offset + bundle.signatures_offset()));
  return ParseSignatureArea(area);
}

}  // namespace haft::format

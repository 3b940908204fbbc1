#include "format/forged_image.h"

#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "haft/base/file_io.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "support/test_tree.h"

namespace haft::testing {
namespace {

template <typename Record>
std::string_view TextOf(const Record& record) {
  return AsText(std::as_bytes(std::span(&record, 1)));
}

template <typename Record>
std::string_view TextOf(const std::vector<Record>& records) {
  return AsText(std::as_bytes(std::span(records)));
}

template <typename Record>
std::vector<Record> Table(std::string_view text, std::uint64_t offset, std::uint64_t count) {
  std::vector<Record> records(count);
  if (count > 0) std::memcpy(records.data(), text.data() + offset, count * sizeof(Record));
  return records;
}

void Seal(format::Trailer& trailer) {
  trailer.root = format::Sha256Of(format::BeforeDigest(trailer));
}

void PadTo(std::string& text, std::size_t unit) {
  text.resize((text.size() + unit - 1) / unit * unit);
}

}  // namespace

ForgedImage::ForgedImage(std::span<const std::byte> image) : trailer_(TrailerOf(image)) {
  UniqueFd file = MemoryFile(image);
  auto bundle = format::LocateImage(file.get());
  if (!bundle || bundle->image_offset != 0) std::abort();
  std::string_view text = AsText(image), index = text.substr(trailer_.index_offset);
  inodes = Table<format::Inode>(index, 0, trailer_.inode_count);
  extents = Table<format::Extent>(index, bundle->extents_offset(), trailer_.extent_count);
  blocks = Table<format::Block>(index, bundle->blocks_offset(), trailer_.block_count);
  strings = index.substr(bundle->strings_offset(), trailer_.string_size);
  std::uint64_t end =
      blocks.empty() ? sizeof(format::Header) : blocks.back().offset + blocks.back().stored_size;
  contents = text.substr(sizeof(format::Header), end - sizeof(format::Header));
  manifest = text.substr(trailer_.manifest_offset, trailer_.manifest_size);
}

std::vector<std::byte> ForgedImage::Bytes() const {
  format::Trailer trailer = trailer_;
  std::string image(sizeof(format::Header), '\0');
  image += contents;
  PadTo(image, format::kAlignment);
  image += gap;
  trailer.index_offset = image.size();
  image += TextOf(inodes);
  image += TextOf(extents);
  image += TextOf(blocks);
  image += strings;
  PadTo(image, 8);
  std::vector<format::Digest> chunks;
  std::string_view tables = std::string_view(image).substr(trailer.index_offset);
  for (std::size_t at = 0; at < tables.size(); at += format::kChunkSize) {
    chunks.push_back(format::Sha256Of(AsBytes(tables.substr(at, format::kChunkSize))));
  }
  trailer.inode_count = inodes.size();
  trailer.extent_count = extents.size();
  trailer.block_count = blocks.size();
  trailer.string_size = strings.size();
  trailer.chunk_table_digest = format::Sha256Of(AsBytes(TextOf(chunks)));
  trailer.manifest_offset = image.size();
  trailer.manifest_size = manifest.size();
  trailer.manifest_digest = format::Sha256Of(AsBytes(manifest));
  image += manifest;
  trailer.profile_offset = image.size();
  trailer.profile_size = profile.size();
  trailer.profile_digest = format::Sha256Of(AsBytes(profile));
  image += profile;
  PadTo(image, 8);
  trailer.security_offset = image.size();
  image += TextOf(chunks);
  image += signatures;
  trailer.image_size = image.size() + sizeof trailer;
  if (edit_trailer) edit_trailer(trailer);
  Seal(trailer);
  image += TextOf(trailer);

  format::Header header{.magic = format::kHeaderMagic,
                        .major = trailer.major,
                        .minor = trailer.minor,
                        .image_size = trailer.image_size,
                        .runtime_size = trailer.runtime_size};
  header.digest = format::Sha256Of(format::BeforeDigest(header));
  std::memcpy(image.data(), &header, sizeof header);
  auto bytes = AsBytes(image);
  return {bytes.begin(), bytes.end()};
}

std::uint32_t ForgedImage::Row(std::string_view path) const {
  std::uint32_t row = 0;
  while (!path.empty()) {
    std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    auto child = static_cast<std::uint32_t>(inodes[row].first);
    std::uint32_t end = child + inodes[row].count;
    auto is_named = [&](const format::Inode& inode) {
      return std::string_view(strings).substr(inode.name_offset, inode.name_size) == name;
    };
    while (child < end && !is_named(inodes[child])) ++child;
    if (child == end) {
      std::fprintf(stderr, "test image has no %s\n", std::string(name).c_str());
      std::abort();
    }
    row = child;
  }
  return row;
}

std::uint64_t ForgedImage::AddString(std::string_view text) {
  strings += text;
  return strings.size() - text.size();
}

void ForgedImage::Rename(std::string_view path, std::string_view name) {
  format::Inode& inode = At(path);
  inode.name_offset = AddString(name);
  inode.name_size = static_cast<std::uint32_t>(name.size());
}

format::Trailer TrailerOf(std::span<const std::byte> image) {
  format::Trailer trailer;
  std::memcpy(&trailer, image.last(sizeof trailer).data(), sizeof trailer);
  return trailer;
}

void ReplaceTrailer(std::vector<std::byte>& image, format::Trailer trailer) {
  Seal(trailer);
  std::memcpy(image.data() + image.size() - sizeof trailer, &trailer, sizeof trailer);
}

std::vector<std::byte> FakeRuntime(std::size_t size) {
  std::string text = RandomBytes(size, 1);
  Elf64_Ehdr elf = {};
  std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
  elf.e_ident[EI_CLASS] = ELFCLASS64;
  elf.e_ident[EI_DATA] = ELFDATA2LSB;
  elf.e_ident[EI_VERSION] = EV_CURRENT;
  elf.e_type = ET_EXEC;
  elf.e_machine = EM_X86_64;
  elf.e_ehsize = sizeof elf;
  elf.e_shentsize = sizeof(Elf64_Shdr);
  elf.e_shnum = 2;
  elf.e_shoff = size - 2 * sizeof(Elf64_Shdr);
  std::memcpy(text.data(), &elf, sizeof elf);
  auto bytes = AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> JoinBundle(std::span<const std::byte> runtime,
                                  std::span<const std::byte> image) {
  std::vector<std::byte> bundle(runtime.begin(), runtime.end());
  bundle.resize((bundle.size() + format::kAlignment - 1) / format::kAlignment * format::kAlignment);
  bundle.insert(bundle.end(), image.begin(), image.end());
  return bundle;
}

}  // namespace haft::testing

// zip_probe FILE: opens an archive as an image and writes what is in it: for each inode a JSON
// object on a line of its own, followed by the bytes of a file. Or one line of error and exit
// status 1. For corpus_test.py.

#include <fcntl.h>
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "haft/archive/zip_image.h"
#include "haft/base/file_io.h"
#include "haft/image/image_reader.h"

namespace haft {
namespace {

// Any bytes as JSON text: one character a byte.
std::string Latin1(std::string_view bytes) {
  std::string text;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

Result<> WriteFile(const ImageReader& reader, const DirectoryEntry& entry) {
  std::vector<Slice> slices;
  for (std::uint64_t offset = 0; offset < entry.attributes.size;) {
    TRY(reader.Read(entry.inode, offset, 1u << 20, slices));
    for (const Slice& slice : slices) {
      std::fwrite(slice.bytes.data(), 1, slice.bytes.size(), stdout);
      offset += slice.bytes.size();
    }
  }
  return {};
}

Result<> List(const ImageReader& reader, InodeId directory, const std::string& path) {
  std::uint64_t count = TRY(reader.EntryCount(directory));
  for (std::uint64_t i = 0; i < count; ++i) {
    DirectoryEntry entry = *TRY(reader.EntryAt(directory, i));
    std::string name = path + std::string(entry.name);
    nlohmann::json line = {{"name", Latin1(name)},
                           {"mode", entry.attributes.mode},
                           {"size", entry.attributes.size},
                           {"mtime", entry.attributes.mtime}};
    switch (entry.attributes.type) {
      case FileType::kFile:
        line["type"] = "file";
        break;
      case FileType::kSymlink:
        line["type"] = "link";
        line["target"] = Latin1(TRY(reader.ReadLink(entry.inode)));
        break;
      case FileType::kDirectory:
        line["type"] = "directory";
        break;
    }
    fmt::print("{}\n", line.dump());
    if (entry.attributes.type == FileType::kFile) TRY(WriteFile(reader, entry));
    if (entry.attributes.type == FileType::kDirectory) TRY(List(reader, entry.inode, name + "/"));
  }
  return {};
}

Result<> Run(const std::string& path) {
  ArchiveTree tree =
      TRY(ReadArchiveTree(TRY(ZipArchive::Open(TRY(OpenFile(path, O_RDONLY)), path))));
  const format::Manifest manifest = ManifestFor(*tree.archive);
  ImageReader reader = TRY(OpenZipImage(std::move(tree), manifest));
  return List(reader, InodeId::kRoot, "");
}

}  // namespace
}  // namespace haft

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: zip_probe FILE\n");
    return 2;
  }
  auto done = haft::Run(argv[1]);
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().message());
  return 1;
}

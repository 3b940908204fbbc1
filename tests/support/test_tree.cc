#include "support/test_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <random>

#include "haft/base/file_io.h"
#include "haft/writer/byte_sink.h"

namespace haft::testing {
namespace {

template <typename T>
T Must(Result<T> result, std::string_view what) {
  if (!result) {
    fmt::print(stderr, "test support: {}: {}\n", what, result.error().message());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

TempDir::TempDir() {
  const char* base = ::getenv("TMPDIR");
  path_ = fmt::format("{}/haft-test-XXXXXX", base != nullptr && *base != '\0' ? base : "/tmp");
  if (::mkdtemp(path_.data()) == nullptr) {
    Must<void>(Failure(Error::FromErrno(path_)), "mkdtemp");
  }
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::operator/(std::string_view name) const {
  return fmt::format("{}/{}", path_, name);
}

std::vector<std::string> TempDir::List() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void WriteTestFile(const std::string& path, std::string_view bytes, unsigned mode) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  UniqueFd fd = Must(OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), "create");
  Must(WriteAll(fd.get(), AsBytes(bytes)), path);
  if (::fchmod(fd.get(), mode) < 0) Must<void>(Failure(Error::FromErrno(path)), "fchmod");
}

std::string ReadTestFile(const std::string& path) {
  return Must(ReadWholeFile(path), "read");
}

FileSource SourceOnDisk(std::shared_ptr<const InputRoot> root, const std::string& name) {
  struct stat status = {};
  static_cast<void>(::fstatat(root->fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW));
  return FileSource::OnDisk(std::move(root), name, FileIdentity(status));
}

Tree MakeTree(std::initializer_list<std::pair<std::string_view, std::string_view>> files) {
  Tree tree;
  for (const auto& [path, bytes] : files) Must(tree.AddText(path, std::string(bytes)), path);
  return tree;
}

std::string RandomBytes(std::size_t size, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::string bytes;
  bytes.reserve(size + 8);
  while (bytes.size() < size) {
    std::uint64_t word = generator();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

format::Manifest TestManifest() {
  return {.name = "test",
          .mount = "/run/haft/test",
          .entry = {.kind = format::EntryKind::kFunction,
                    .module = "app.main",
                    .function = "main",
                    .script = "app"},
          .python = {.path = "/usr/bin/python3",
                     .version = "3.11.2",
                     .tag = "cpython-311",
                     .soabi = "cpython-311-x86_64-linux-gnu"},
          .paths = {"site-packages"},
          .builder = "haft test"};
}

std::vector<std::byte> BuildImage(const Tree& tree, const ImageOptions& options,
                                  const format::Manifest& manifest) {
  MemorySink sink;
  Must(WriteImage(tree, manifest, options, sink), "WriteImage");
  return std::move(sink).Take();
}

UniqueFd MemoryFile(std::span<const std::byte> bytes) {
  UniqueFd fd(::memfd_create("haft-test", MFD_CLOEXEC));
  if (!fd) Must<void>(Failure(Error::FromErrno("memfd_create")), "MemoryFile");
  Must(WriteAll(fd.get(), bytes), "MemoryFile");
  return fd;
}

}  // namespace haft::testing

#include "zip_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "haft/base/file_io.h"
#include "zip_text.h"

namespace haft::zip {
namespace {

// The archive as libzip sees it: [base, size) of a file, read by position. libzip's own sources
// share the offset of the descriptor, which a forked server would move for its parent.
struct FileWindow {
  int fd;
  std::uint64_t base;
  std::uint64_t size;  // from base
  std::uint64_t position = 0;
  zip_error_t error = {};
};

zip_int64_t Read(FileWindow& window, void* data, zip_uint64_t size) {
  size = std::min<std::uint64_t>(size, window.size - std::min(window.position, window.size));
  auto count =
      ReadUpTo(window.fd, {static_cast<std::byte*>(data), size}, window.base + window.position);
  if (!count) {
    zip_error_set(&window.error, ZIP_ER_READ, count.error().sys_errno());
    return -1;
  }
  window.position += *count;
  return static_cast<zip_int64_t>(*count);
}

zip_int64_t HandleCommand(void* state, void* data, zip_uint64_t size, zip_source_cmd_t command) {
  FileWindow& window = *static_cast<FileWindow*>(state);
  switch (command) {
    case ZIP_SOURCE_OPEN:
      window.position = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return Read(window, data, size);
    case ZIP_SOURCE_CLOSE:
      return 0;
    case ZIP_SOURCE_STAT: {
      auto* stat = static_cast<zip_stat_t*>(data);
      zip_stat_init(stat);
      stat->size = window.size;
      stat->valid |= ZIP_STAT_SIZE;
      return sizeof *stat;
    }
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&window.error, data, size);
    case ZIP_SOURCE_FREE:
      delete &window;
      return 0;
    case ZIP_SOURCE_SEEK: {
      zip_int64_t position =
          zip_source_seek_compute_offset(window.position, window.size, data, size, &window.error);
      if (position < 0) return -1;
      window.position = static_cast<std::uint64_t>(position);
      return 0;
    }
    case ZIP_SOURCE_TELL:
      return static_cast<zip_int64_t>(window.position);
    case ZIP_SOURCE_SUPPORTS:
      return ZIP_SOURCE_SUPPORTS_SEEKABLE;
    default:
      zip_error_set(&window.error, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

std::string TextOf(zip_error_t* error) {
  std::string text = zip_error_strerror(error);
  zip_error_fini(error);
  return text;
}

}  // namespace

Result<ArchiveHandle> OpenArchive(int fd, std::uint64_t base, const std::string& file) {
  std::uint64_t size = TRY(FileSize(fd));
  if (base > size) return Failure(Error::Corrupt(fmt::format("{}: became shorter", Quoted(file))));
  auto window =
      std::make_unique<FileWindow>(FileWindow{.fd = fd, .base = base, .size = size - base});
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_function_create(HandleCommand, window.get(), &error);
  if (source == nullptr)
    return Failure(Error::Corrupt(fmt::format("{}: {}", Quoted(file), TextOf(&error))));
  static_cast<void>(window.release());  // ZIP_SOURCE_FREE deletes it
  ArchiveHandle archive(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (archive == nullptr) {
    zip_source_free(source);
    return Failure(Error::Corrupt(fmt::format("{}: libzip: {}", Quoted(file), TextOf(&error))));
  }
  zip_error_fini(&error);
  return archive;
}

Result<Stream> Stream::Open(zip_t* archive, std::uint32_t index, const ZipEntry& entry,
                            const std::string& file) {
  // libzip looks for end records by rules of its own. Should it have found another directory, this
  // tells.
  zip_stat_t stat;
  if (zip_stat_index(archive, index, 0, &stat) != 0 || stat.size != entry.size ||
      stat.crc != entry.crc || stat.comp_size != entry.compressed_size ||
      stat.comp_method != std::to_underlying(entry.method)) {
    return Failure(Error::Corrupt(EntryText(file, entry.name, "libzip sees something else there")));
  }
  zip_file_t* handle = zip_fopen_index(archive, index, 0);
  if (handle == nullptr) {
    zip_error_t* error = zip_get_error(archive);
    int code = zip_error_code_zip(error);
    bool unsupported = code == ZIP_ER_COMPNOTSUPP || code == ZIP_ER_ENCRNOTSUPP;
    return Failure(Error(unsupported ? ErrorKind::kUnsupported : ErrorKind::kCorrupt,
                         EntryText(file, entry.name, zip_error_strerror(error))));
  }
  return Stream(handle, entry, file);
}

Error Stream::Wrong(std::string_view why) const {
  return Error::Corrupt(EntryText(*file_, entry_->name, why));
}

Error Stream::ReadError() const {
  zip_error_t* error = zip_file_get_error(handle_.get());
  switch (zip_error_code_zip(error)) {
    case ZIP_ER_READ:
    case ZIP_ER_SEEK:
    case ZIP_ER_MEMORY:
      // Not the archive's fault: it may work another time.
      return Error(
          ErrorKind::kSystem, EntryText(*file_, entry_->name, zip_error_strerror(error)),
          zip_error_code_zip(error) == ZIP_ER_MEMORY ? ENOMEM : zip_error_code_system(error));
    case ZIP_ER_CRC:
      return Wrong("the data is damaged: its CRC is wrong");
    case ZIP_ER_INCONS:
      return Wrong("the data is damaged: it has another length than declared");
    default:
      return Wrong(fmt::format("the data is damaged: {}", zip_error_strerror(error)));
  }
}

Result<> Stream::Next(std::span<std::byte> out) {
  assert(handle_ != nullptr && out.size() <= entry_->size - position_);
  while (!out.empty()) {
    zip_int64_t count = zip_fread(handle_.get(), out.data(), out.size());
    if (count < 0) return Failure(ReadError());
    if (count == 0) {
      return Failure(Wrong(
          fmt::format("the data is damaged: {} bytes, {} are declared", position_, entry_->size)));
    }
    position_ += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
  return position_ == entry_->size ? Finish() : Result<>();
}

// libzip compares the CRC only when somebody reads beyond the last byte.
Result<> Stream::Finish() {
  std::array<std::byte, 1> more;
  zip_int64_t count = zip_fread(handle_.get(), more.data(), more.size());
  if (count < 0) return Failure(ReadError());
  if (count > 0)
    return Failure(
        Wrong(fmt::format("the data is damaged: more than the {} bytes declared", entry_->size)));
  if (zip_fclose(handle_.release()) != 0) return Failure(Wrong("the data is damaged"));
  return {};
}

}  // namespace haft::zip

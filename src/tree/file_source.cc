#include "haft/tree/file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <filesystem>
#include <utility>

#include "haft/base/beneath.h"
#include "haft/base/file_io.h"

namespace haft {
namespace {

Error Changed(std::string_view origin) {
  return Error::Invalid(fmt::format("{}: changed while it was being packed", Quoted(origin)))
      .Remedy("build again when nothing writes to it");
}

// Wraps around for times far from ours, which does no harm: it is only compared.
std::int64_t Nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
                                   static_cast<std::uint64_t>(time.tv_nsec));
}

}  // namespace

FileIdentity::FileIdentity(const struct stat& status)
    : device(status.st_dev),
      inode(status.st_ino),
      size(static_cast<std::uint64_t>(status.st_size)),
      modified(Nanoseconds(status.st_mtim)),
      changed(Nanoseconds(status.st_ctim)) {}

FileSource FileSource::OnDisk(std::shared_ptr<const InputRoot> root, std::string relative,
                              const FileIdentity& identity) {
  FileSource source;
  source.root_ = std::move(root);
  source.path_ = std::move(relative);
  source.identity_ = identity;
  return source;
}

FileSource FileSource::InMemory(std::string bytes, std::string origin) {
  FileSource source;
  source.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  source.path_ = std::move(origin);
  return source;
}

FileSource FileSource::InArchive(std::shared_ptr<MemberArchive> archive, std::uint32_t member) {
  FileSource source;
  source.archive_ = std::move(archive);
  source.member_ = member;
  return source;
}

std::string FileSource::origin() const {
  if (archive_ != nullptr) return archive_->MemberOrigin(member_);
  return root_ == nullptr ? path_ : fmt::format("{}/{}", root_->path, path_);
}

std::optional<std::string> FileSource::path_on_disk() const {
  if (root_ == nullptr) return std::nullopt;
  std::string path = root_->path + "/" + path_;
  if (path[0] == '/') return path;
  std::error_code ignored;
  return (std::filesystem::current_path(ignored) / path).string();
}

Result<FileReader> FileReader::Open(const FileSource& source, std::uint64_t size) {
  FileReader reader;
  reader.size_ = size;
  reader.origin_ = source.origin();
  if (source.bytes_ != nullptr) {
    if (source.bytes_->size() != size) return Failure(Changed(reader.origin_));
    reader.bytes_ = source.bytes_;
    return reader;
  }
  if (source.archive_ != nullptr) {
    if (source.archive_->MemberSize(source.member_) != size)
      return Failure(Changed(reader.origin_));
    reader.archive_ = source.archive_;
    reader.member_ = source.member_;
    return reader;
  }
  // O_NONBLOCK: the file may have become a pipe nobody writes to.
  reader.fd_ = OpenBeneath(source.root_->fd.get(), source.path_,
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!reader.fd_ && (errno == ELOOP || errno == ENOTDIR)) return Failure(Changed(reader.origin_));
  if (!reader.fd_) return Failure(Error::FromErrno(Quoted(reader.origin_)));
  struct stat status;
  if (::fstat(reader.fd_.get(), &status) < 0)
    return Failure(Error::FromErrno(Quoted(reader.origin_)));
  if (!S_ISREG(status.st_mode) || FileIdentity(status) != *source.identity_ ||
      static_cast<std::uint64_t>(status.st_size) != size) {
    return Failure(Changed(reader.origin_));
  }
  return reader;
}

Result<> FileReader::Read(std::uint64_t offset, std::span<std::byte> out) const {
  assert(FitsWithin(offset, out.size(), size_));
  if (bytes_ != nullptr) {
    if (!out.empty())
      std::memcpy(out.data(), bytes_->data() + offset,
                  out.size());  // null is no source, even of nothing
    return {};
  }
  if (archive_ != nullptr) return archive_->ReadMember(member_, offset, out);
  auto count = ReadUpTo(fd_.get(), out, offset);
  if (!count) return Failure(Error::FromErrno(Quoted(origin_), count.error().sys_errno()));
  if (*count != out.size()) return Failure(Changed(origin_));
  return {};
}

std::uint64_t FileReader::NextData(std::uint64_t offset) const {
  if (bytes_ != nullptr || archive_ != nullptr || offset >= size_) return std::min(offset, size_);
  off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data >= 0) return std::min(static_cast<std::uint64_t>(data), size_);
  // ENXIO: nothing but a hole up to the end. Anything else: the file system cannot tell.
  return errno == ENXIO ? size_ : offset;
}

Result<std::string> ReadSource(const FileSource& source, std::uint64_t size) {
  FileReader reader = TRY(FileReader::Open(source, size));
  std::string text(size, '\0');
  TRY(reader.Read(0, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace haft

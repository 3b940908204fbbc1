#include "haft/base/file_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace haft {

Result<UniqueFd> OpenFile(const std::string& path, int flags, unsigned mode) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Failure(Error::FromErrno(Quoted(path)));
  return UniqueFd(fd);
}

Result<std::uint64_t> FileSize(int fd) {
  struct stat status;
  if (::fstat(fd, &status) < 0) return Failure(Error::FromErrno("fstat"));
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> ReadUpTo(int fd, std::span<std::byte> out, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < out.size()) {
    ssize_t n =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(Error::FromErrno("read"));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<> ReadExactly(int fd, std::span<std::byte> out, std::uint64_t offset) {
  std::size_t n = TRY(ReadUpTo(fd, out, offset));
  if (n == out.size()) return {};
  return Failure(Error::Corrupt(
      fmt::format("the file ends after {} bytes, {} needed", offset + n, offset + out.size())));
}

Result<> WriteAll(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(Error::FromErrno("write"));
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<> WriteAllAt(int fd, std::span<const std::byte> data, std::uint64_t offset) {
  while (!data.empty()) {
    ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(Error::FromErrno("write"));
    data = data.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<std::string> ReadWholeFile(const std::string& path, std::size_t limit) {
  UniqueFd fd = TRY(OpenFile(path, O_RDONLY));
  std::string text;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(Error::FromErrno(Quoted(path)));
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > limit) {
      return Failure(Error::Invalid(fmt::format("{}: larger than {} bytes", Quoted(path), limit)));
    }
  }
}

}  // namespace haft

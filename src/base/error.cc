#include "haft/base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "haft/base/utf8.h"

namespace haft {
namespace {

// Of a message, in bytes: what an input can put into it is not bounded otherwise. A path of a
// system, which has 4095, is cut in its middle.
constexpr std::size_t kMaxCause = 3000, kMaxRemedy = 1000;
constexpr std::size_t kMaxQuoted = 512;

std::string Cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  return fmt::format("{}...{}", Utf8Prefix(text, most * 3 / 4), Utf8Suffix(text, most / 4));
}

}  // namespace

Error::Error(ErrorKind kind, std::string message, int sys_errno)
    : kind_(kind), sys_errno_(sys_errno), message_(std::move(message)) {}

namespace {

// The limit of a process that an error number is about.
std::string_view LimitBehind(int sys_errno) {
  switch (sys_errno) {
    case EMFILE:
      return "the limit of open files (ulimit -n, systemd: LimitNOFILE=)";
    case EFBIG:
      return "the limit of a file's size (ulimit -f, systemd: LimitFSIZE=)";
    default:
      return "";
  }
}

}  // namespace

Error Error::FromErrno(std::string_view what, int sys_errno) {
  char buffer[128];
  const char* text = ::strerror_r(sys_errno, buffer, sizeof buffer);
  ErrorKind kind = sys_errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kSystem;
  Error error(kind, fmt::format("{}: {}", what, text), sys_errno);
  const std::string_view limit = LimitBehind(sys_errno);
  return limit.empty() ? error : std::move(error).Remedy(fmt::format("raise {}", limit));
}

Error Error::Within(std::string_view context) && {
  message_ = fmt::format("{}: {}", context, message_);
  return std::move(*this);
}

Error Error::Remedy(std::string remedy) && {
  remedy_ = std::move(remedy);
  return std::move(*this);
}

std::string Error::message() const {
  const std::string cause = Cut(message_, kMaxCause), remedy = Cut(remedy_, kMaxRemedy);
  return remedy.empty() ? cause : fmt::format("{}; {}", cause, remedy);
}

int Error::ToErrno() const {
  if (sys_errno_ != 0) return sys_errno_;
  switch (kind_) {
    case ErrorKind::kNotFound:
      return ENOENT;
    case ErrorKind::kUsage:
    case ErrorKind::kInvalidInput:
      return EINVAL;
    case ErrorKind::kUnsupported:
      return EOPNOTSUPP;
    case ErrorKind::kSystem:
    case ErrorKind::kCorrupt:
      return EIO;
  }
  return EIO;
}

std::string Quoted(std::string_view name) {
  return fmt::format("'{}'", Shown(Cut(name, kMaxQuoted)));
}

}  // namespace haft

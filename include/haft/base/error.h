// Failures as values. Nothing in haft throws: a function that can fail returns Result<T>, absence
// is std::optional, a broken invariant is assert().
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace haft {

// What a caller can act on.
enum class ErrorKind {
  kSystem,        // a system call failed; sys_errno() says how
  kNotFound,      // the named thing does not exist
  kUsage,         // the command line is wrong
  kInvalidInput,  // the user's input cannot be used
  kCorrupt,       // bytes read from a file contradict the format
  kUnsupported,   // understood, but not possible with this version, host or file
};

// One failure, printed as "WHAT: WHY; REMEDY". `what` names the object ("open 'x.whl'"); the remedy
// is optional and says what the reader can do.
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message, int sys_errno = 0);

  // "what: <strerror>"; pass errno explicitly when a call may have come in between.
  static Error FromErrno(std::string_view what, int sys_errno = errno);
  static Error Corrupt(std::string message) { return {ErrorKind::kCorrupt, std::move(message)}; }
  static Error Invalid(std::string message) {
    return {ErrorKind::kInvalidInput, std::move(message)};
  }

  // Adds context on the way up: "context: message".
  Error Within(std::string_view context) &&;
  // Replaces the remedy.
  Error Remedy(std::string remedy) &&;

  ErrorKind kind() const { return kind_; }
  int sys_errno() const { return sys_errno_; }
  const std::string& remedy() const { return remedy_; }
  // "WHAT: WHY", without the remedy.
  const std::string& cause() const { return message_; }
  // "WHAT: WHY" and, if there is one, "; REMEDY".
  std::string message() const;
  // For FUSE replies: the errno of a failed call, EIO for damage, ENOENT, EINVAL, EOPNOTSUPP.
  int ToErrno() const;

 private:
  ErrorKind kind_;
  int sys_errno_;
  std::string message_;
  std::string remedy_;
};

template <typename T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

using Failure = std::unexpected<Error>;

// Name as a message shows it: in single quotes, control characters and non-UTF-8 bytes escaped
// (\xNN).
std::string Quoted(std::string_view name);

}  // namespace haft

#define HAFT_CONCAT_(a, b) a##b
#define HAFT_CONCAT(a, b) HAFT_CONCAT_(a, b)
#define HAFT_TRY_(result, expression)                                   \
  __extension__({                                                       \
    auto result = (expression);                                         \
    if (!result) [[unlikely]]                                           \
      return std::unexpected<::haft::Error>(std::move(result).error()); \
    *std::move(result);                                                 \
  })
#define HAFT_TRY_WITHIN_(result, context, expression)                                   \
  __extension__({                                                                       \
    auto result = (expression);                                                         \
    if (!result) [[unlikely]]                                                           \
      return std::unexpected<::haft::Error>(std::move(result).error().Within(context)); \
    *std::move(result);                                                                 \
  })

// TRY(expression): the value of `expression`, a Result; or return its error from the enclosing
// function. It may stand inside an expression, with one exception, which tools/lint looks for:
// not in the braces of an initializer. The return leaves the initializer half way, and compilers
// forget the members that it has made: their memory is lost. Name the value first:
//
//   return Pair{.first = TRY(First()), .second = TRY(Second())};  // loses `first`
//
//   auto first = TRY(First());
//   auto second = TRY(Second());
//   return Pair{.first = std::move(first), .second = std::move(second)};
#define TRY(expression) HAFT_TRY_(HAFT_CONCAT(try_result_, __COUNTER__), expression)
// The same, with the error as "context: message". The context is evaluated only after a failure.
#define TRY_WITHIN(context, expression) \
  HAFT_TRY_WITHIN_(HAFT_CONCAT(try_result_, __COUNTER__), context, expression)

#include "import_follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/utf8.h"
#include "python_code.h"

namespace haft {
namespace {

constexpr std::size_t kPycHeader = 16;
// More than a start reads of modules in most cases; they are compressed for speed, not for size.
constexpr std::uint64_t kMostBytes = 8u << 20;
constexpr std::uint32_t kMostQuestion = 64u << 10;

enum class Kind : char { kNone = 0, kModule = 1, kPackage = 2 };

void AppendText(std::string& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out += text;
}

// Answers the questions of import_follower.py, which says how, and keeps the order of its
// questions.
class Answers {
 public:
  Answers(const Tree& tree, std::string_view tag, const std::vector<std::string>& paths,
          const std::vector<std::string>& start)
      : tree_(tree), tag_(tag), paths_(paths), start_(start.begin(), start.end()) {}

  // One a line, of those that have names.
  std::string StartNames(const std::vector<std::string>& start) const {
    std::string names;
    for (const std::string& path : start) {
      const std::string name = NameOf(path);
      if (!name.empty() && !name.contains('\n')) names.append(name).append("\n");
    }
    return names;
  }

  Result<std::string> To(const std::string& name) {
    std::string answer(1, static_cast<char>(Kind::kNone));
    auto found = Find(name);
    if (found) {
      const TreeNode::File& file = *tree_.Find(found->path)->file();
      const bool of_start = start_.contains(found->path);
      if (!of_start && bytes_ + file.size > kMostBytes) found.reset();
      if (found && !of_start) {
        bytes_ += file.size;
        next_.push_back(found->path);
      }
    }
    if (!found) {
      AppendText(answer, "");
      return answer;
    }
    const TreeNode::File& file = *tree_.Find(found->path)->file();
    answer[0] = static_cast<char>(found->kind);
    AppendText(answer,
               std::string_view(TRY(ReadSource(file.source, file.size))).substr(kPycHeader));
    return answer;
  }

  std::vector<std::string> TakeNext() { return std::move(next_); }

 private:
  struct Found {
    std::string path;
    Kind kind;
  };

  std::string CachedPath(std::string_view directory, std::string_view name) const {
    return JoinPath(directory, fmt::format("__pycache__/{}.{}.pyc", name, tag_));
  }

  std::optional<Found> Find(const std::string& name) const {
    std::string relative = name;
    std::ranges::replace(relative, '.', '/');
    for (const std::string& root : paths_) {
      const std::string path = JoinPath(root, relative);
      for (const Found& found : {Found{CachedPath(path, "__init__"), Kind::kPackage},
                                 Found{CachedPath(DirName(path), BaseName(path)), Kind::kModule}}) {
        const TreeNode* node = tree_.Find(found.path);
        if (node != nullptr && node->file() != nullptr && node->file()->size > kPycHeader)
          return found;
      }
    }
    return std::nullopt;
  }

  // "" if `path` is no compiled module below sys.path.
  std::string NameOf(std::string_view path) const {
    const std::string suffix = fmt::format(".{}.pyc", tag_);
    if (!path.ends_with(suffix)) return "";
    path.remove_suffix(suffix.size());
    for (const std::string& root : paths_) {
      if (!path.starts_with(root) || path.size() <= root.size() || path[root.size()] != '/')
        continue;
      std::string name(path.substr(root.size() + 1));
      constexpr std::string_view kCache = "__pycache__/";
      const std::size_t cache = name.rfind(kCache);
      if (cache == name.npos) return "";
      name.erase(cache, kCache.size());
      if (name.ends_with("/__init__")) name.resize(name.size() - std::strlen("/__init__"));
      std::ranges::replace(name, '/', '.');
      return name;
    }
    return "";
  }

  const Tree& tree_;
  const std::string tag_;
  const std::vector<std::string>& paths_;
  const std::unordered_set<std::string> start_;
  std::vector<std::string> next_;
  std::uint64_t bytes_ = 0;  // of these
};

}  // namespace

Result<std::vector<std::string>> FollowImports(const Tree& tree, const PythonInterpreter& python,
                                               const std::vector<std::string>& paths,
                                               const std::vector<std::string>& start) {
  Answers answers(tree, python.target().tag, paths, start);
  Subprocess child =
      TRY(Subprocess::Start(python.ReproducibleCommand(ImportFollower().front().bytes)));
  std::string message;
  AppendText(message, answers.StartNames(start));
  auto sent = child.Send(std::as_bytes(std::span(message)));
  while (sent) {
    std::uint32_t size = 0;
    if (TRY(child.Receive(std::as_writable_bytes(std::span(&size, 1)))) != sizeof size) break;
    if (size > kMostQuestion) break;
    std::string name(size, '\0');
    if (TRY(child.Receive(std::as_writable_bytes(std::span(name)))) != size) break;
    message = TRY(answers.To(name));
    sent = child.Send(std::as_bytes(std::span(message)));
  }
  if (const int status = TRY(child.Wait()); status != 0) {
    return Failure(Error(ErrorKind::kSystem, fmt::format("{}: {}", Quoted(python.target().path),
                                                         DescribeStatus(status))));
  }
  return answers.TakeNext();
}

}  // namespace haft

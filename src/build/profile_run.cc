#include "profile_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "haft/format/image_paths.h"
#include "haft/python/bootstrap.h"
#include "haft/stack/bundled_stack.h"
#include "haft/tree/work_tree.h"
#include "haft/web/web_application.h"
#include "profile_sandbox.h"
#include "python_code.h"

namespace haft {
namespace {

constexpr std::chrono::seconds kImportLimit{60};
constexpr std::chrono::seconds kRunLimit{10};
// A tree is shown to the child as links, one per file; beyond this that takes longer than it is
// worth.
constexpr std::uint64_t kMaxFiles = 200'000;
// What the tree has in memory or in archives is copied: into memory up to this size.
constexpr std::uint64_t kMaxInMemory = 64u << 20;
constexpr std::uint64_t kMaxCopied = 512u << 20;
constexpr std::string_view kPrefixLine = "//prefix ";
constexpr std::string_view kHostLine = "//host ";
constexpr std::string_view kMappedLine = "//mapped ";
constexpr std::size_t kMaxRecord = 64u << 20;

std::uint64_t CountFiles(const Tree& tree) {
  std::uint64_t count = 0;
  tree.Walk([&](const std::string&, const TreeNode&) { ++count; });
  return count;
}

// What the recorder is told to do, and with what; "none" for what is no Python program.
std::pair<std::string, std::string> Task(const format::Entry& entry, const std::string& root,
                                         bool run) {
  switch (entry.kind) {
    case format::EntryKind::kFunction:
      return {run ? "function" : "import", fmt::format("{}:{}", entry.module, entry.function)};
    case format::EntryKind::kModule:
      return {run ? "module" : "imports-of", entry.module};
    case format::EntryKind::kScript:
      if (!entry.python) break;
      return {run ? "script" : "imports-of-file", JoinPath(root, entry.file)};
    case format::EntryKind::kInterpreter:
    case format::EntryKind::kNone:
      break;
  }
  return {"none", ""};
}

// Shared libraries, and what the interpreter is made of if it is inside the image: `python` is its
// launcher there. Other programs of a stack have the same loader, which is one file of the host.
bool MayBeMapped(const std::string& path, std::string_view python) {
  const std::string_view name = BaseName(path);
  return name.find(".so") != name.npos ||
         (IsStackProgram(path) && python.ends_with(fmt::format("/{}", name)));
}

// Where the files of a tree that may be mapped lie, by what the kernel calls them.
class MappedFiles {
 public:
  // `root` is where the tree is shown.
  MappedFiles(const Tree& tree, const std::string& root, std::string_view python) {
    tree.Walk([&](const std::string& path, const TreeNode& node) {
      if (node.file() == nullptr || !MayBeMapped(path, python)) return;
      std::unique_ptr<char, decltype(&::free)> real(
          ::realpath(JoinPath(root, path).c_str(), nullptr), &::free);
      if (real) paths_.emplace(real.get(), path);
    });
  }
  // Brings them into the page cache. Which pages a fault maps depends on what is there already.
  void Read() const {
    std::vector<std::byte> buffer(1u << 20);
    for (const auto& [real, path] : paths_) {
      auto file = OpenFile(real, O_RDONLY | O_NONBLOCK);
      while (file && ::read(file->get(), buffer.data(), buffer.size()) > 0) {
      }
    }
  }
  // nullptr: not of the tree.
  const std::string* PathOf(const std::string& real) const {
    auto found = paths_.find(real);
    return found == paths_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<std::string, std::string> paths_;
};

// "OFFSET SIZE PATH" of a part of a file that is mapped. SIZE 0: which part is not known.
void ParseRange(const Tree& tree, const MappedFiles& mapped, std::string_view text,
                format::Profile& profile) {
  format::ByteRange range = {};
  const char* end = text.data() + text.size();
  auto offset = std::from_chars(text.data(), end, range.offset);
  if (offset.ec != std::errc() || offset.ptr == end) return;
  auto size = std::from_chars(offset.ptr + 1, end, range.size);
  if (size.ec != std::errc() || size.ptr == end) return;
  const std::string* path = mapped.PathOf(std::string(size.ptr + 1, end));
  if (path == nullptr) return;
  const std::uint64_t file_size = tree.Find(*path)->file()->size;
  if (range.offset >= file_size) return;
  range.size = std::min(range.size, file_size - range.offset);
  std::vector<format::ByteRange>& ranges = profile.ranges[*path];
  if (range.size != 0) ranges.push_back(range);
}

// Whether a file of this name could be there.
bool IsInDirectory(const Tree& tree, const std::string& path) {
  if (!path.contains('/')) return false;
  const TreeNode* parent = tree.Find(DirName(path));
  return parent != nullptr && parent->directory() != nullptr;
}

// One line per path, in order; directories end in "/". See profile_recorder.py for lines that begin
// with "//".
format::Profile ParseRecord(const Tree& tree, const MappedFiles& mapped, std::string_view text) {
  format::Profile profile;
  std::unordered_set<std::string_view> known;
  std::unordered_set<std::string> files;  // those of the profile
  auto add_file = [&](const std::string& path) {
    if (files.insert(path).second) profile.files.push_back(path);
  };
  std::string prefix;  // of the interpreter
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() == text.size()) break;  // cut off
    text.remove_prefix(line.size() + 1);
    if (!known.insert(line).second) continue;
    if (line.starts_with(kPrefixLine)) {
      prefix = line.substr(kPrefixLine.size());
      continue;
    }
    if (line.starts_with(kHostLine)) {
      std::string path(line.substr(kHostLine.size()));
      // A tree may lie there: its libraries are known to the kernel by where the links to them
      // lead.
      const bool ours = mapped.PathOf(path.starts_with('/') ? path : prefix + path) != nullptr;
      if (!ours && format::IsHostPath(path)) profile.host.push_back(std::move(path));
      continue;
    }
    if (line.starts_with(kMappedLine)) {
      const std::string* path = mapped.PathOf(std::string(line.substr(kMappedLine.size())));
      if (path != nullptr) add_file(*path);
      continue;
    }
    if (line.starts_with("//")) {
      ParseRange(tree, mapped, line.substr(2), profile);
      continue;
    }
    const bool listed = line.ends_with('/');
    std::string path(line.substr(0, line.size() - (listed ? 1 : 0)));
    const TreeNode* node = tree.Find(path);
    if (node == nullptr && !listed && IsInDirectory(tree, path)) profile.missing.push_back(path);
    if (node == nullptr || path.empty()) continue;
    if (listed) {
      if (node->directory() != nullptr) profile.directories.push_back(std::move(path));
    } else if (node->file() != nullptr) {
      add_file(path);
    }
  }
  for (auto& [path, ranges] : profile.ranges) ranges = format::Normalised(std::move(ranges));
  std::erase_if(profile.ranges, [](const auto& item) { return item.second.empty(); });
  return profile;
}

// A work directory with the tree in it, as "root". In memory if there is room: a disk takes a
// second for some trees.
Result<WorkDirectory> Materialize(const Tree& tree) {
  // What nothing keeps the child from writing to is not the user's own.
  const bool copies = !CanConfineRecording();
  const std::uint64_t size = CopiedSize(tree, copies);
  if (copies && size > kMaxCopied) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("this kernel has no Landlock to keep the packages from "
                                     "changing their files, and a copy has more than {} MiB",
                                     kMaxCopied >> 20)));
  }
  if (size <= kMaxInMemory) {
    auto memory = WorkDirectory::CreateInMemory();
    if (memory && MaterializeTree(tree, memory->path() + "/root", copies)) return memory;
  }
  WorkDirectory disk = TRY(WorkDirectory::Create());
  TRY(MaterializeTree(tree, disk.path() + "/root", copies));
  return disk;
}

// Of a run whose bundle lies unpacked in `root`.
void SetEnvironment(Command& command, const format::Manifest& manifest, const std::string& root,
                    const std::string& home) {
  std::string python_path = JoinPath(root, format::kBootstrapDirectory);
  for (const std::string& path : manifest.paths)
    python_path.append(":").append(JoinPath(root, path));
  command.environment.push_back("PYTHONPATH=" + python_path);
  command.environment.push_back("HOME=" + home);
  command.environment.push_back("TMPDIR=" + home);
  for (const format::Variable& variable : manifest.environment) {
    command.environment.push_back(variable.name + "=" + variable.value);
  }
}

// Why a run that ended so is no example of a start; "" if it is one.
std::string ProblemOf(int status, const std::string& standard_error,
                      const std::optional<std::vector<std::string>>& arguments) {
  if (status == 0) return "";
  const std::string last(LastLine(standard_error).substr(0, 300));
  if (!arguments) return last.empty() ? DescribeStatus(status) : last;
  return fmt::format("{}: {}{}{}", Quoted(fmt::format("{}", fmt::join(*arguments, " "))),
                     DescribeStatus(status), last.empty() ? "" : ": ", last);
}

Result<ProfileResult> Record(const Tree& tree, const PythonInterpreter& python,
                             const format::Manifest& manifest,
                             const std::optional<std::vector<std::string>>& arguments) {
  if (CountFiles(tree) > kMaxFiles) {
    return ProfileResult{.profile = {},
                         .problem = fmt::format("the tree has more than {} files", kMaxFiles)};
  }
  const WorkDirectory work = TRY(Materialize(tree));
  const std::string root = work.path() + "/root", home = work.path() + "/home",
                    record = work.path() + "/record";
  if (::mkdir(home.c_str(), 0700) < 0) return Failure(Error::FromErrno(Quoted(home)));
  const MappedFiles mapped(tree, root, manifest.python.path);
  mapped.Read();

  // An interpreter inside the image has its own standard library there. Not where the work
  // directory holds no programs (noexec).
  const std::string inside = JoinPath(root, manifest.python.path);
  const bool bundled = !manifest.python.path.starts_with('/') && IsExecutableFile(inside);
  // A web application would become a server, which does not end; what takes time is the
  // application.
  const auto [task, target] =
      manifest.web.application.empty()
          ? Task(manifest.entry, root, arguments.has_value())
          : std::pair<std::string, std::string>("import", WebModule(manifest.web));
  Command command = python.RecordedCommand(ProfileRecorder().front().bytes);
  if (bundled) command.program = inside;
  SetEnvironment(command, manifest, root, home);
  const UniqueFd writable = TRY(OpenFile(home, O_PATH | O_DIRECTORY)),
                 recorded = TRY(OpenFile(record, O_WRONLY | O_CREAT | O_EXCL, 0600));
  command.confine = [&] { return ConfineRecording(writable.get(), recorded.get()); };
  for (const std::string& word : {root, record, task, target, manifest.name})
    command.arguments.push_back(word);
  command.arguments.insert(command.arguments.end(), manifest.arguments.begin(),
                           manifest.arguments.end());
  if (arguments)
    command.arguments.insert(command.arguments.end(), arguments->begin(), arguments->end());

  Subprocess child = TRY(Subprocess::Start(command));
  child.EndInput();
  work.KillWithUs(child.pid());
  const std::optional<int> status = TRY(child.WaitFor(arguments ? kRunLimit : kImportLimit));
  work.KillWithUs(0);
  ProfileResult result;
  if (!status && !arguments) {
    // Where it was cut off depends on the machine's speed: no profile is better than another one
    // every time.
    result.problem = fmt::format("'{}' was not imported within {} s", target, kImportLimit.count());
    return result;
  }
  auto text = ReadWholeFile(record, kMaxRecord);
  if (text) {
    result.profile = ParseRecord(tree, mapped, *text);
    if (bundled)
      result.profile.files.insert(result.profile.files.begin(),
                                  manifest.python.path);  // its launcher
  }
  if (status) result.problem = ProblemOf(*status, child.StandardError(), arguments);
  return result;
}

}  // namespace

ProfileResult RecordProfile(const Tree& tree, const PythonInterpreter& python,
                            const format::Manifest& manifest,
                            const std::optional<std::vector<std::string>>& arguments) {
  auto result = Record(tree, python, manifest, arguments);
  if (!result) return {.profile = {}, .problem = result.error().message()};
  return *std::move(result);
}

}  // namespace haft

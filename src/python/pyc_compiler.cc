#include "haft/python/pyc_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "compile_worker.h"
#include "haft/base/parallel.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

// A worker compiles this many sources in one fork. Fixed, because the bytes may depend on which
// files are compiled together; small, so that the last ones are shared out evenly.
constexpr std::size_t kBatchSize = 16;
constexpr std::uint64_t kMaxSourceSize = 64u << 20;
constexpr std::uint32_t kMaxAnswerSize = 1u << 30;

struct Source {
  std::string path;    // in the tree
  TreeNode* parent;    // directory it is in
  std::string cached;  // name of the .pyc
  const TreeNode* node;
};

struct Compiled {
  bool ok = false;
  std::string bytes;  // of the .pyc, or the reason
};

std::span<std::byte> WritableBytes(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

void AppendNumber(std::string& out, std::size_t number) {
  auto value = static_cast<std::uint32_t>(number);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// One interpreter that compiles batches; compile_worker.py describes what is exchanged. For one
// thread.
class Worker {
 public:
  static Result<Worker> Start(const PythonInterpreter& python) {
    return Worker(
        python, TRY(Subprocess::Start(python.ReproducibleCommand(CompileWorker().front().bytes))));
  }

  Result<std::vector<Compiled>> Compile(std::span<const Source> batch, const std::string& mount) {
    std::string request;
    AppendNumber(request, batch.size());
    for (const Source& source : batch) {
      const TreeNode::File& file = *source.node->file();
      std::string path = fmt::format("{}/{}", mount, source.path);
      AppendNumber(request, path.size());
      AppendNumber(request, file.size);
      request += path;
      request += TRY(ReadSource(file.source, file.size));
    }
    // If it cannot be sent, the missing answer tells which file it was about.
    static_cast<void>(process_.Send(std::as_bytes(std::span(request))).has_value());
    std::vector<Compiled> answers;
    for (const Source& source : batch) answers.push_back(TRY(Receive(source)));
    return answers;
  }

 private:
  Worker(const PythonInterpreter& python, Subprocess process)
      : python_(&python), process_(std::move(process)) {}

  Result<Compiled> Receive(const Source& source) {
    std::string head(5, '\0');
    if (TRY(process_.Receive(WritableBytes(head))) != head.size()) return Failure(Died(source));
    std::uint32_t size;
    std::memcpy(&size, head.data() + 1, sizeof size);
    if (size > kMaxAnswerSize) return Failure(Died(source));
    Compiled compiled{.ok = head[0] == 0, .bytes = std::string(size, '\0')};
    if (TRY(process_.Receive(WritableBytes(compiled.bytes))) != size) return Failure(Died(source));
    return compiled;
  }

  Error Died(const Source& source) {
    const std::string errors = process_.StandardError();
    const std::string_view last = LastLine(errors);
    return Error(ErrorKind::kSystem,
                 fmt::format("compile {}: {} ended unexpectedly{}", Quoted(source.path),
                             Quoted(python_->target().path),
                             last.empty() ? "" : ", " + Quoted(last.substr(0, 200))))
        .Remedy("--no-compile leaves the tree as it is");
  }

  const PythonInterpreter* python_;
  Subprocess process_;
};

// Finds the sources, in path order, and says of those that cannot have a .pyc why.
class SourceFinder {
 public:
  SourceFinder(const std::string& tag, CompileReport& report) : tag_(tag), report_(report) {}

  void Find(TreeNode& directory, const std::string& path) {
    for (auto& [name, child] : directory.directory()->children) {
      if (child->directory() != nullptr) {
        // Python never looks for packages in there.
        if (name != "__pycache__") Find(*child, JoinPath(path, name));
      } else if (child->file() != nullptr && name.size() > 3 && name.ends_with(".py")) {
        Add(directory, *child, name, JoinPath(path, name));
      }
    }
  }

  std::vector<Source> Take() && { return std::move(sources_); }

 private:
  void Add(TreeNode& parent, const TreeNode& node, std::string_view name, std::string path) {
    std::string cached = fmt::format("{}.{}.pyc", name.substr(0, name.size() - 3), tag_);
    std::string_view why;
    const TreeNode::Children& siblings = parent.directory()->children;
    auto cache = siblings.find("__pycache__");
    if (node.file()->size > kMaxSourceSize) {
      why = "larger than 64 MiB";
    } else if (cached.size() > format::kMaxNameSize ||
               path.size() + cached.size() + sizeof "__pycache__/" > format::kMaxPathSize) {
      why = "the name of its .pyc file would be too long";
    } else if (cache != siblings.end()) {
      const TreeNode::Directory* directory = cache->second->directory();
      if (directory == nullptr) {
        why = "__pycache__ is no directory";
      } else if (auto there = directory->children.find(cached);
                 there != directory->children.end() && there->second->directory() != nullptr) {
        why = "its .pyc file is a directory";
      }
    }
    if (why.empty()) {
      sources_.push_back({std::move(path), &parent, std::move(cached), &node});
    } else {
      report_.not_compiled.push_back(fmt::format("{}: {}", Quoted(path), why));
    }
  }

  const std::string& tag_;
  CompileReport& report_;
  std::vector<Source> sources_;
};

// Puts the results into the tree. Every __pycache__ that gets a file ends up with the same
// attributes whatever the input had: running a program out of the input directory changes those.
class CacheFiller {
 public:
  void Add(const Source& source, std::string bytes) {
    const NodeAttributes& attributes = source.node->attributes;
    std::unique_ptr<TreeNode>& cache = source.parent->directory()->children["__pycache__"];
    if (cache == nullptr) {
      cache = std::make_unique<TreeNode>();
      cache->directory()->origin = "__pycache__";
    }
    std::uint64_t size = bytes.size();
    NodeAttributes cached = attributes;
    cached.mode = 0644;
    cache->directory()->children[source.cached] = std::make_unique<TreeNode>(TreeNode{
        cached, TreeNode::File{size, FileSource::InMemory(std::move(bytes), source.cached)}});

    Time& latest = latest_.emplace(cache.get(), Time(attributes.mtime, 0)).first->second;
    latest = std::max(latest, Time(attributes.mtime, attributes.mtime_nanoseconds));
  }

  void SetAttributes() {
    for (auto& [cache, time] : latest_) {
      cache->attributes = {.mode = 0755, .mtime = time.first, .mtime_nanoseconds = time.second};
    }
  }

 private:
  using Time = std::pair<std::int64_t, std::uint32_t>;
  std::unordered_map<TreeNode*, Time> latest_;
};

// As many workers as are in use at once.
class WorkerPool {
 public:
  explicit WorkerPool(const PythonInterpreter& python) : python_(python) {}

  // Thread-safe.
  Result<std::vector<Compiled>> Compile(std::span<const Source> batch, const std::string& mount) {
    Worker worker = TRY(Take());
    std::vector<Compiled> results = TRY(worker.Compile(batch, mount));
    MutexLock lock(mutex_);
    idle_.push_back(std::move(worker));
    return results;
  }

 private:
  Result<Worker> Take() {
    MutexLock lock(mutex_);
    if (idle_.empty()) {
      lock.Unlock();
      return Worker::Start(python_);
    }
    Worker worker = std::move(idle_.back());
    idle_.pop_back();
    return worker;
  }

  const PythonInterpreter& python_;
  Mutex mutex_;
  std::vector<Worker> idle_ HAFT_GUARDED_BY(mutex_);
};

}  // namespace

Result<CompileReport> PycCompiler::Compile(
    Tree& tree, const std::vector<std::string>& directories,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) const {
  CompileReport report;
  SourceFinder finder(python_.target().tag, report);
  for (const std::string& path : directories) {
    TreeNode* node = tree.Find(path);
    if (node != nullptr && node->directory() != nullptr) finder.Find(*node, path);
  }
  const std::vector<Source> sources = std::move(finder).Take();

  CacheFiller filler;
  std::size_t done = 0;  // sources whose results have come
  WorkerPool workers(python_);
  OrderedPool<std::vector<Compiled>> pool(
      workers_, 2 * std::size_t{workers_}, [&](std::vector<Compiled> results) -> Result<> {
        for (Compiled& result : results) {
          const Source& source = sources[done++];
          if (result.ok) {
            filler.Add(source, std::move(result.bytes));
            ++report.compiled;
          } else {
            report.not_compiled.push_back(fmt::format("{}: {}", Quoted(source.path), result.bytes));
          }
        }
        if (progress) progress(done, sources.size());
        return {};
      });
  for (std::size_t begin = 0; begin < sources.size(); begin += kBatchSize) {
    auto batch = std::span(sources).subspan(begin, std::min(kBatchSize, sources.size() - begin));
    TRY(pool.Submit([this, &workers, batch] { return workers.Compile(batch, mount_); }));
  }
  TRY(pool.Finish());
  filler.SetAttributes();
  return report;
}

}  // namespace haft

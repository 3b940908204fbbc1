#include "image/snapshot.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdlib>

#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "support/test_tree.h"

namespace haft::testing {
namespace {

void Must(Result<> result) {
  if (result) return;
  fmt::print(stderr, "test image: {}\n", result.error().message());
  std::abort();
}

std::string Lines(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i)
    text += fmt::format("line {} of a file that compresses well\n", i);
  text.resize(size);
  return text;
}

std::string Contents(const ImageReader& reader, const DirectoryEntry& entry,
                     std::uint64_t max_bytes) {
  format::Sha256 hasher;
  std::vector<std::byte> buffer(10'000);  // not a multiple of anything
  for (std::uint64_t offset = 0; offset < std::min(entry.attributes.size, max_bytes);) {
    auto n = reader.Read(entry.inode, offset, buffer);
    if (!n) return "error: " + n.error().message();
    if (*n == 0) return "ends early";
    hasher.Update(std::span(buffer).first(*n));
    offset += *n;
  }
  return format::ToHex(hasher.Finish());
}

// Whether something above or beside `path` has an error that explains why it is not listed.
bool ListingFailed(const Snapshot& seen, const std::string& path) {
  for (std::string parent = path; !parent.empty();) {
    auto slash = parent.rfind('/');
    parent = slash == parent.npos ? "" : parent.substr(0, slash);
    std::string prefix = parent.empty() ? "#" : parent + "/#";
    auto found = seen.lower_bound(prefix);
    if (found != seen.end() && found->first.starts_with(prefix) && IsError(found->second))
      return true;
    auto self = seen.find(parent);
    if (self != seen.end() && IsError(self->second)) return true;
  }
  return false;
}

}  // namespace

Tree SampleTree(unsigned files) {
  Tree tree;
  auto file = [&](std::string_view path, std::string bytes, NodeAttributes attributes) {
    Must(tree.AddFile(path, attributes, bytes.size(),
                      FileSource::InMemory(bytes, std::string(path))));
  };
  Must(tree.AddDirectory("site-packages",
                         {.mode = 0755, .mtime = 1'600'000'000, .mtime_nanoseconds = 123'456'789},
                         "test"));
  Must(tree.AddDirectory("site-packages/empty", {.mode = 01777, .mtime = -1}, "test"));
  file("site-packages/__init__.py", "", {.mode = 0644, .mtime = 0});
  file("site-packages/one.py", "import sys\n",
       {.mode = 0755, .mtime = 1'700'000'000, .mtime_nanoseconds = 999'999'999});
  file("site-packages/one_copy.py", "import sys\n", {.mode = 0000, .mtime = 5'000'000'000});
  file("site-packages/secret", "not for everybody", {.mode = 0400, .mtime = 1});
  file("site-packages/text", Lines(30'000), {.mode = 0644, .mtime = 2});
  file("site-packages/noise", RandomBytes(10'001, 11), {.mode = 0644, .mtime = 3});
  file("site-packages/block", RandomBytes(4096, 12), {.mode = 0644, .mtime = 4});
  file("site-packages/two-blocks", RandomBytes(8192, 13), {.mode = 0644, .mtime = 5});
  std::string holes(60'000, '\0');
  holes.replace(0, 100, Lines(100));
  holes.replace(30'000, 5'000, Lines(5'000));
  file("site-packages/holes", holes + "end", {.mode = 0644, .mtime = 6});
  file("site-packages/zeros", std::string(50'000, '\0'), {.mode = 0644, .mtime = 7});
  file("odd/" + std::string(255, 'n'), "long name", {.mode = 0644, .mtime = 8});
  file("odd/\xff\xfe\n", "not UTF-8", {.mode = 0644, .mtime = 9});
  file("odd/d/e/e/p/er/file", "deep", {.mode = 0644, .mtime = 10});
  Must(tree.AddSymlink("odd/link", {.mode = 0777, .mtime = 11}, "../site-packages/one.py", "test"));
  Must(tree.AddSymlink("odd/long-link", {.mode = 0777, .mtime = 12, .mtime_nanoseconds = 1},
                       std::string(4095, 't'), "test"));
  Must(tree.AddSymlink("odd/nowhere", {.mode = 0777, .mtime = 13}, "/\xff/..", "test"));
  for (unsigned i = 0; i < files; ++i)
    file(fmt::format("many/{:04}", i), fmt::format("file {}\n", i), {.mode = 0644, .mtime = i});
  return tree;
}

std::vector<std::byte> SampleImage(unsigned files) {
  return BuildImage(SampleTree(files), {.block_size = 4096, .workers = 1});
}

ImageReader OpenReader(UniqueFd file, std::size_t cache_bytes) {
  auto reader = ImageReader::Open(std::move(file), cache_bytes);
  if (!reader) Must(Failure(std::move(reader).error()));
  return *std::move(reader);
}

ImageReader OpenReader(std::span<const std::byte> image) {
  return OpenReader(MemoryFile(image));
}

bool IsError(std::string_view description) {
  return description.starts_with("error: ");
}

std::string DescribeEntry(const ImageReader& reader, const DirectoryEntry& entry,
                          std::uint64_t max_bytes) {
  const Attributes& a = entry.attributes;
  std::string text = fmt::format("{} {:o} {} {}.{:09} {} ", static_cast<int>(a.type), a.mode,
                                 a.links, a.mtime, a.mtime_nanoseconds, a.size);
  switch (a.type) {
    case FileType::kDirectory:
      return text;
    case FileType::kFile: {
      std::string contents = Contents(reader, entry, max_bytes);
      return IsError(contents) ? contents : text + contents;
    }
    case FileType::kSymlink: {
      auto target = reader.ReadLink(entry.inode);
      return target ? text + std::string(*target) : "error: " + target.error().message();
    }
  }
  return "error: no such type";
}

Snapshot TakeSnapshot(const ImageReader& reader, std::uint64_t max_bytes) {
  Snapshot snapshot;
  auto root = reader.Resolve("");
  if (!root) {
    snapshot[""] = "error: " + root.error().message();
    return snapshot;
  }
  snapshot[""] = DescribeEntry(reader, *root);
  std::vector<std::pair<InodeId, std::string>> pending = {{root->inode, ""}};
  while (!pending.empty()) {
    auto [inode, path] = std::move(pending.back());
    pending.pop_back();
    std::string prefix = path.empty() ? "" : path + "/";
    auto count = reader.EntryCount(inode);
    if (!count) {
      snapshot[prefix + "#count"] = "error: " + count.error().message();
      continue;
    }
    for (std::uint64_t i = 0; i < *count; ++i) {
      auto entry = reader.EntryAt(inode, i);
      if (!entry || !*entry) {
        snapshot[fmt::format("{}#{}", prefix, i)] =
            "error: " + (entry ? "missing" : entry.error().message());
        continue;
      }
      std::string child = prefix + std::string((*entry)->name);
      snapshot[child] = DescribeEntry(reader, **entry, max_bytes);
      if ((*entry)->attributes.type == FileType::kDirectory)
        pending.emplace_back((*entry)->inode, child);
    }
  }
  return snapshot;
}

std::vector<std::string> SilentDifferences(const Snapshot& expected, const Snapshot& seen,
                                           const std::function<bool(const std::string&)>& ignored) {
  std::vector<std::string> differences;
  auto differs = [&](const std::string& path, std::string what) {
    if (!ignored || !ignored(path))
      differences.push_back(fmt::format("{}: {}", Quoted(path), what));
  };
  for (const auto& [path, description] : seen) {
    if (IsError(description)) continue;
    auto original = expected.find(path);
    if (original == expected.end()) {
      differs(path, "does not exist");
    } else if (original->second != description) {
      differs(path, fmt::format("is {} instead of {}", description, original->second));
    }
  }
  for (const auto& [path, description] : expected) {
    if (!seen.contains(path) && !ListingFailed(seen, path)) differs(path, "is not listed");
  }
  return differences;
}

std::vector<std::string> SilentLookupDifferences(
    const Snapshot& expected, const ImageReader& reader,
    const std::function<bool(const std::string&)>& ignored) {
  std::vector<std::string> differences;
  for (const auto& [path, description] : expected) {
    if (ignored && ignored(path)) continue;
    auto entry = reader.Resolve(path);
    if (!entry) {
      if (entry.error().kind() == ErrorKind::kCorrupt ||
          entry.error().kind() == ErrorKind::kUnsupported)
        continue;
      differences.push_back(entry.error().message());
      continue;
    }
    std::string seen = DescribeEntry(reader, *entry);
    if (IsError(seen) || seen == description) continue;
    differences.push_back(fmt::format("{}: is {} instead of {}", Quoted(path), seen, description));
  }
  return differences;
}

long MaxResidentKib() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

double ThreadSeconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace haft::testing

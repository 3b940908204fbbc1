#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "haft/format/image_paths.h"
#include "haft/image/walk_image.h"
#include "haft/trace/trace.h"
#include "python_events.h"

namespace haft::trace {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Every path and file of the image, by row.
struct Listing {
  std::vector<std::string> paths;
  std::vector<FileType> types;
  std::vector<std::uint64_t> sizes;
  std::unordered_map<std::string_view, std::size_t> rows;  // of `paths`

  static Result<Listing> Of(const ImageReader& reader) {
    Listing listing;
    std::size_t count = reader.inode_count();
    listing.paths.resize(count);
    listing.types.assign(count, FileType::kFile);
    listing.sizes.assign(count, 0);
    listing.types[0] = FileType::kDirectory;
    auto visit = [&](const DirectoryEntry& entry, const std::string& path) -> Result<WalkStep> {
      const std::size_t row = std::to_underlying(entry.inode);
      listing.paths[row] = path;
      listing.types[row] = entry.attributes.type;
      listing.sizes[row] = entry.attributes.size;
      return WalkStep::kContinue;
    };
    TRY(WalkImage(reader, InodeId::kRoot, {.visit = visit}));
    for (std::size_t row = 0; row < count; ++row) listing.rows.emplace(listing.paths[row], row);
    return listing;
  }
};

// Appends [begin, end), or extends the range it touches.
void AddRange(std::vector<format::ByteRange>& ranges, std::uint64_t begin, std::uint64_t end) {
  for (format::ByteRange& range : ranges) {
    const std::uint64_t range_end = range.offset + range.size;
    if (begin > range_end || end < range.offset) continue;
    range.offset = std::min(range.offset, begin);
    range.size = std::max(range_end, end) - range.offset;
    return;
  }
  ranges.push_back({.offset = begin, .size = end - begin});
}

// The files that were touched, each made when it is first asked for.
class TouchedFiles {
 public:
  explicit TouchedFiles(const Listing& listing)
      : listing_(listing), places_(listing.paths.size(), kNone) {}

  File* Touch(std::size_t row, Nanoseconds when) {
    if (row >= places_.size()) return nullptr;  // .haft/stats
    if (places_[row] == kNone) {
      places_[row] = files_.size();
      files_.push_back({.path = listing_.paths[row],
                        .type = listing_.types[row],
                        .size = listing_.sizes[row],
                        .first = when,
                        .last = when,
                        .ranges = {},
                        .blocks = {},
                        .module = {},
                        .importer = {}});
    }
    return &files_[places_[row]];
  }
  File* Find(std::string_view path) {
    auto row = listing_.rows.find(path);
    if (row == listing_.rows.end() || places_[row->second] == kNone) return nullptr;
    return &files_[places_[row->second]];
  }

  void Add(const RequestRecord& record);
  std::vector<File>& files() { return files_; }

 private:
  const Listing& listing_;
  std::vector<std::size_t> places_;  // by row: where in files_
  std::vector<File> files_;
};

void TouchedFiles::Add(const RequestRecord& record) {
  if (record.inode == 0) return;  // about the whole file system
  std::string_view operation = OperationName(record.operation);
  // A look-up that found something is about that; one that found nothing is about the directory.
  File* file = Touch((record.found != 0 ? record.found : record.inode) - 1, record.begin);
  if (file == nullptr) return;
  ++file->requests;
  file->server += record.end - record.begin;
  file->decoding += record.decode_time;
  file->last = std::max<Nanoseconds>(file->last, record.end);
  if (operation == "readdir" || operation == "readdirplus") file->use = Use::kListed;
  if (operation != "read") return;
  file->use = Use::kRead;
  file->bytes += record.replied;
  if (record.replied > 0) AddRange(file->ranges, record.offset, record.offset + record.replied);
  for (std::uint32_t i = 0; i < record.blocks; ++i) {
    std::uint32_t block = record.first_block + i;
    if (std::ranges::find(file->blocks, block) == file->blocks.end()) file->blocks.push_back(block);
  }
}

// Who was running when a file was first used: the innermost import of that thread, by the requests.
class Importers {
 public:
  explicit Importers(const std::vector<Import>& imports) {
    for (const Import& import : imports) threads_[import.thread].push_back(&import);
  }

  const Import* Innermost(int thread, Nanoseconds when) const {
    auto found = threads_.find(thread);
    if (found == threads_.end()) return nullptr;
    const auto& imports = found->second;  // by begin
    auto next = std::ranges::upper_bound(imports, when, {}, &Import::begin);
    while (next != imports.begin()) {
      const Import* import = *--next;
      if (import->end >= when) return import;
    }
    return nullptr;
  }

 private:
  std::unordered_map<int, std::vector<const Import*>> threads_;
};

// When a module's own code was needed: behind the import of its package, if that happened inside.
Nanoseconds CodeNeeded(const Import& import,
                       const std::unordered_map<std::string_view, const Import*>& modules) {
  std::string_view package = std::string_view(import.module).substr(0, import.module.rfind('.'));
  auto found = modules.find(package);
  if (package == import.module || found == modules.end()) return import.begin;
  bool inside = found->second->begin >= import.begin && found->second->end <= import.end;
  return inside ? found->second->end : import.begin;
}

void AddModules(const PythonEvents& events, TouchedFiles& files, const Listing& listing) {
  std::unordered_map<std::string_view, const Import*> modules;
  for (const Import& import : events.imports) modules.emplace(import.module, &import);
  for (std::size_t i = 0; i < events.imports.size(); ++i) {
    const Import& import = events.imports[i];
    bool touched = false;
    for (const std::string& path : {import.file, events.sources[i]}) {
      File* file = path.empty() ? nullptr : files.Find(path);
      if (file == nullptr || !file->module.empty()) continue;
      file->module = import.module;
      file->importer = import.importer;
      touched = touched || file->use == Use::kRead;
    }
    if (touched || import.file.empty()) continue;
    // Imported without a request for its contents.
    auto row = listing.rows.find(import.file);
    if (row == listing.rows.end()) row = listing.rows.find(events.sources[i]);
    if (row == listing.rows.end()) continue;
    File& file = *files.Touch(row->second, CodeNeeded(import, modules));
    if (file.use != Use::kFound) continue;
    file.use = Use::kIndex;
    file.module = import.module;
    file.importer = import.importer;
    file.last = std::max(file.last, import.end);
  }
}

void AddOpeners(const PythonEvents& events, TouchedFiles& files) {
  for (const Opened& opened : events.opened) {
    File* file = files.Find(opened.path);
    if (file != nullptr && file->importer.empty()) file->importer = opened.module;
  }
}

void AddUsers(const std::vector<RequestRecord>& requests, const std::vector<Import>& imports,
              TouchedFiles& files, const Listing& listing) {
  Importers importers(imports);
  std::unordered_set<std::size_t> asked_for;
  for (const RequestRecord& record : requests) {
    std::size_t row = (record.found != 0 ? record.found : record.inode) - 1;
    File* file = row < listing.paths.size() ? files.Find(listing.paths[row]) : nullptr;
    // Only the first to ask: of an interpreter or a library in the image many a module touches a
    // page later.
    if (file == nullptr || !asked_for.insert(row).second || !file->importer.empty()) continue;
    if (const Import* import = importers.Innermost(record.requester, record.begin))
      file->importer = import->module;
  }
}

}  // namespace

std::string_view UseName(Use use) {
  switch (use) {
    case Use::kRead:
      return "read";
    case Use::kListed:
      return "listed";
    case Use::kIndex:
      return "index";
    case Use::kFound:
      return "found";
  }
  return "?";
}

Result<Trace> Assemble(const ImageReader& reader, std::string name, Run run, const RequestLog& log,
                       std::string_view python_events) {
  Listing listing = TRY(Listing::Of(reader));
  PythonEvents events = ParsePythonEvents(python_events);
  Trace trace{.run = std::move(run),
              .name = std::move(name),
              .requests = log.Records(),
              .dropped = log.dropped(),
              .paths = {},
              .pythons = {},
              .imports = {},
              .files = {},
              .unused = {}};
  TouchedFiles files(listing);
  for (const RequestRecord& record : trace.requests) files.Add(record);
  AddModules(events, files, listing);
  AddOpeners(events, files);
  AddUsers(trace.requests, events.imports, files, listing);

  for (std::size_t row = 0; row < listing.paths.size(); ++row) {
    if (listing.types[row] != FileType::kFile || format::IsHafts(listing.paths[row])) continue;
    ++trace.file_count;
    trace.content_size += listing.sizes[row];
    const File* file = files.Find(listing.paths[row]);
    if (file == nullptr || file->use == Use::kFound) {
      trace.unused.push_back({.path = listing.paths[row], .size = listing.sizes[row]});
    }
  }
  std::ranges::stable_sort(trace.unused, std::greater(), &UnusedFile::size);
  trace.files = std::move(files.files());
  std::erase_if(trace.files, [](const File& file) {
    return file.path.find("/_haft_trace.") != file.path.npos;
  });  // not without us
  std::ranges::stable_sort(trace.files, {}, &File::first);
  trace.pythons = std::move(events.pythons);
  trace.imports = std::move(events.imports);
  trace.paths = std::move(listing.paths);
  return trace;
}

}  // namespace haft::trace

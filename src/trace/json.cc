// The forms of a trace that are JSON: Chrome's trace events, the profile, and the data of the HTML
// page.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "haft/base/embedded_file.h"
#include "haft/base/html_page.h"
#include "haft/base/subprocess.h"
#include "haft/format/image_paths.h"
#include "haft/trace/trace.h"
#include "summary.h"

namespace haft {
std::span<const EmbeddedFile> TracePage();  // page.html
}

namespace haft::trace {
namespace {

using nlohmann::ordered_json;

// Names that are not UTF-8 are shown with replacement characters.
std::string Dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// Relative to the start; what happened before it (clocks of different processes agree) would be a
// bug, not a number.
double Microseconds(const Trace& trace, Nanoseconds time) {
  return (static_cast<double>(time) - static_cast<double>(trace.run.begin)) / 1e3;
}

std::string_view NameOf(const RequestRecord& record) {
  return {record.name, ::strnlen(record.name, RequestRecord::kNameSize)};
}

// The path a request is about: of a look-up, the name looked for.
std::string PathOf(const Trace& trace, const RequestRecord& record) {
  if (record.found != 0 && record.found <= trace.paths.size()) return trace.paths[record.found - 1];
  if (record.inode == 0 || record.inode > trace.paths.size()) return "";
  const std::string& path = trace.paths[record.inode - 1];
  std::string_view name = NameOf(record);
  if (name.empty()) return path;
  return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
}

ordered_json RequestArguments(const Trace& trace, const RequestRecord& record) {
  ordered_json arguments = {{"path", PathOf(trace, record)}, {"requester", record.requester}};
  std::string_view operation = OperationName(record.operation);
  if (operation == "lookup") arguments["found"] = record.found != 0;
  if (operation != "read") return arguments;
  arguments["offset"] = record.offset;
  arguments["size"] = record.size;
  arguments["replied"] = record.replied;
  if (record.first_block == RequestRecord::kNoBlock) return arguments;
  arguments["block"] = record.first_block;
  arguments["blocks"] = record.blocks;
  arguments["decoded"] = record.decoded;
  arguments["decode_us"] = record.decode_time / 1e3;
  return arguments;
}

ordered_json Metadata(const char* what, int pid, int thread, const std::string& name) {
  return {{"name", what}, {"ph", "M"}, {"pid", pid}, {"tid", thread}, {"args", {{"name", name}}}};
}

void AddImports(const Trace& trace, ordered_json& events) {
  for (const Import& import : trace.imports) {
    events.push_back({{"name", import.module},
                      {"cat", import.failed ? "failed import" : "import"},
                      {"ph", "X"},
                      {"pid", import.pid},
                      {"tid", import.thread},
                      {"ts", Microseconds(trace, import.begin)},
                      {"dur", static_cast<double>(import.end - import.begin) / 1e3},
                      {"args",
                       {{"importer", import.importer},
                        {"file", import.file},
                        {"self_us", static_cast<double>(import.self) / 1e3}}}});
  }
}

void AddRequests(const Trace& trace, ordered_json& events) {
  std::set<int> threads;
  int server = 0;  // the server's first thread stands for the process
  for (const RequestRecord& record : trace.requests) {
    if (server == 0) {
      server = record.server;
      events.push_back(Metadata("process_name", server, server, "haft server"));
    }
    if (threads.insert(record.server).second) {
      events.push_back(Metadata("thread_name", server, record.server, "answers"));
    }
    std::string_view operation = OperationName(record.operation);
    events.push_back({{"name", fmt::format("{} {}", operation, PathOf(trace, record))},
                      {"cat", operation},
                      {"ph", "X"},
                      {"pid", server},
                      {"tid", record.server},
                      {"ts", Microseconds(trace, record.begin)},
                      {"dur", static_cast<double>(record.end - record.begin) / 1e3},
                      {"args", RequestArguments(trace, record)}});
  }
}

ordered_json PageFiles(const Trace& trace) {
  ordered_json files = ordered_json::array();
  for (const File& file : trace.files) {
    files.push_back({{"path", file.path.empty() ? "/" : file.path},
                     {"size", file.size},
                     {"use", UseName(file.use)},
                     {"first", Microseconds(trace, file.first)},
                     {"last", Microseconds(trace, file.last)},
                     {"server", static_cast<double>(file.server) / 1e3},
                     {"decoding", static_cast<double>(file.decoding) / 1e3},
                     {"requests", file.requests},
                     {"bytes", file.bytes},
                     {"blocks", file.blocks},
                     {"module", file.module},
                     {"importer", file.importer}});
  }
  return files;
}

ordered_json PageImports(const Trace& trace) {
  ordered_json imports = ordered_json::array();
  for (const Import& import : trace.imports) {
    imports.push_back({{"module", import.module},
                       {"importer", import.importer},
                       {"begin", Microseconds(trace, import.begin)},
                       {"total", static_cast<double>(import.end - import.begin) / 1e3},
                       {"self", static_cast<double>(import.self) / 1e3},
                       {"failed", import.failed}});
  }
  return imports;
}

}  // namespace

std::string ToChromeJson(const Trace& trace) {
  ordered_json events = ordered_json::array();
  int main = trace.pythons.empty() ? 1 : trace.pythons[0].pid;
  events.push_back(Metadata("process_name", main, main, trace.name));
  for (const Python& python : trace.pythons) {
    if (python.pid != main)
      events.push_back(Metadata("process_name", python.pid, python.pid, python.executable));
    events.push_back({{"name", "Python started"},
                      {"ph", "i"},
                      {"s", "p"},
                      {"pid", python.pid},
                      {"tid", python.pid},
                      {"ts", Microseconds(trace, python.begin)}});
  }
  events.push_back({{"name", fmt::format("{}", fmt::join(trace.run.command, " "))},
                    {"cat", "run"},
                    {"ph", "X"},
                    {"pid", main},
                    {"tid", main},
                    {"ts", 0},
                    {"dur", Microseconds(trace, trace.run.end)},
                    {"args", {{"status", DescribeStatus(trace.run.status)}}}});
  AddImports(trace, events);
  AddRequests(trace, events);
  return Dump({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}) + "\n";
}

// Not for the next image: what is made from the profile itself.
static bool IsOfThisImageOnly(std::string_view path) {
  return path == format::kImportIndexPath || path == format::kImportRestPath;
}

std::string ToProfileJson(const Trace& trace) {
  ordered_json files = ordered_json::array(), directories = ordered_json::array();
  ordered_json ranges = ordered_json::object();
  for (const File& file : trace.files) {
    if (file.use == Use::kListed && !file.path.empty()) directories.push_back(file.path);
    if (IsOfThisImageOnly(file.path)) continue;
    if (file.type != FileType::kFile || (file.use != Use::kRead && file.use != Use::kIndex))
      continue;
    files.push_back(file.path);
    if (file.ranges.empty() || file.ranges == std::vector<format::ByteRange>{{0, file.size}})
      continue;
    for (const format::ByteRange& range : file.ranges)
      ranges[file.path].push_back({range.offset, range.size});
  }
  return Dump({{"files", std::move(files)},
               {"directories", std::move(directories)},
               {"ranges", std::move(ranges)}}) +
         "\n";
}

std::string ToHtml(const Trace& trace) {
  Summary summary = Summarise(trace);
  ordered_json unused = ordered_json::array();
  for (const UnusedFile& file : trace.unused)
    unused.push_back({{"path", file.path}, {"size", file.size}});
  ordered_json operations = ordered_json::object();
  for (const auto& [name, count] : summary.operations) operations[name] = count;
  ordered_json data = {
      {"name", trace.name},
      {"command", fmt::format("{}", fmt::join(trace.run.command, " "))},
      {"status", DescribeStatus(trace.run.status)},
      {"total", Microseconds(trace, trace.run.end)},
      {"python", trace.pythons.empty() ? ordered_json()
                                       : ordered_json(Microseconds(trace, trace.pythons[0].begin))},
      {"request", trace.requests.empty()
                      ? ordered_json()
                      : ordered_json(Microseconds(trace, trace.requests[0].begin))},
      {"operations", std::move(operations)},
      {"answering", static_cast<double>(summary.answering) / 1e3},
      {"decoding", static_cast<double>(summary.decoding) / 1e3},
      {"decoded", summary.decoded},
      {"dropped", trace.dropped},
      {"file_count", trace.file_count},
      {"content_size", trace.content_size},
      {"unused_size", summary.unused_size},
      {"files", PageFiles(trace)},
      {"imports", PageImports(trace)},
      {"unused", std::move(unused)}};
  return FillPage(TracePage()[0].bytes, Dump(data));
}

}  // namespace haft::trace

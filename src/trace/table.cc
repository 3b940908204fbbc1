#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "haft/base/subprocess.h"
#include "haft/base/utf8.h"
#include "haft/trace/trace.h"
#include "summary.h"

namespace haft::trace {
namespace {

double Milliseconds(Nanoseconds time) {
  return static_cast<double>(time) / 1e6;
}

std::string Size(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string Blocks(const File& file) {
  if (file.blocks.empty()) return "-";
  if (file.blocks.size() == 1) return fmt::format("{}", file.blocks[0]);
  return fmt::format("{}+{}", file.blocks[0], file.blocks.size() - 1);
}

std::string FileLine(const Trace& trace, const File& file) {
  std::string who = file.module.empty()     ? file.importer
                    : file.importer.empty() ? file.module
                                            : fmt::format("{} from {}", file.module, file.importer);
  return fmt::format("{:>9.3f} {:>9.3f} {:>11} {:>7}  {:<6} {}{}\n",
                     Milliseconds(file.first - trace.run.begin), Milliseconds(file.server),
                     Size(file.size), Blocks(file), UseName(file.use),
                     file.path.empty() ? "/" : Shown(file.path),
                     who.empty() ? "" : fmt::format("  [{}]", Shown(who)));
}

constexpr std::string_view kFileHeader =
    "  at (ms)  answered        size   block  use    file  [module from importer]\n";

template <typename Item, typename Key>
std::vector<const Item*> Largest(const std::vector<Item>& items, std::size_t count, Key key) {
  std::vector<const Item*> sorted;
  for (const Item& item : items) sorted.push_back(&item);
  std::ranges::stable_sort(sorted, std::greater(),
                           [&](const Item* item) { return std::invoke(key, *item); });
  sorted.resize(std::min(count, sorted.size()));
  return sorted;
}

std::string SummaryText(const Trace& trace) {
  Summary summary = Summarise(trace);
  std::string operations;
  for (const auto& [name, count] : summary.operations)
    operations += fmt::format("  {} {}", count, name);
  std::string text =
      fmt::format("{}: {}, {:.1f} ms from start to end\n",
                  Shown(fmt::format("{}", fmt::join(trace.run.command, " "))),
                  DescribeStatus(trace.run.status), Milliseconds(trace.run.end - trace.run.begin));
  if (!trace.requests.empty()) {
    text += fmt::format("  first request after {:.1f} ms",
                        Milliseconds(trace.requests[0].begin - trace.run.begin));
    if (!trace.pythons.empty()) {
      text += fmt::format(", Python at the bundle's first line after {:.1f} ms",
                          Milliseconds(trace.pythons[0].begin - trace.run.begin));
    }
    text += "\n";
  }
  text += fmt::format("  requests{}\n", operations.empty() ? "  none" : operations);
  if (trace.dropped > 0)
    text += fmt::format("  {} more requests did not fit into the log\n", trace.dropped);
  text +=
      fmt::format("  answering took {:.1f} ms, of it {:.1f} ms decoding {} blocks\n",
                  Milliseconds(summary.answering), Milliseconds(summary.decoding), summary.decoded);
  text += fmt::format("  {} of {} files used ({} of {}), {} imports\n",
                      trace.file_count - trace.unused.size(), trace.file_count,
                      Size(trace.content_size - summary.unused_size), Size(trace.content_size),
                      trace.imports.size());
  return text;
}

}  // namespace

Summary Summarise(const Trace& trace) {
  Summary summary;
  std::map<std::string, std::uint64_t> counts;
  for (const RequestRecord& record : trace.requests) {
    ++counts[std::string(OperationName(record.operation))];
    summary.answering += record.end - record.begin;
    summary.decoding += record.decode_time;
    summary.decoded += record.decoded;
  }
  summary.operations.assign(counts.begin(), counts.end());
  std::ranges::stable_sort(summary.operations, std::greater(),
                           &std::pair<std::string, std::uint64_t>::second);
  for (const UnusedFile& file : trace.unused) summary.unused_size += file.size;
  return summary;
}

std::string ToTable(const Trace& trace, std::size_t top) {
  std::string text = SummaryText(trace);
  if (top == 0) {
    text += fmt::format("\nfiles in the order of first use\n{}", kFileHeader);
    for (const File& file : trace.files) text += FileLine(trace, file);
  } else {
    text += fmt::format("\nslowest files\n{}", kFileHeader);
    for (const File* file : Largest(trace.files, top, &File::server))
      text += FileLine(trace, *file);
  }
  std::size_t rows = top == 0 ? trace.imports.size() : top;
  text += "\nslowest imports\n  self (ms)     total  module  [importer]\n";
  for (const Import* import : Largest(trace.imports, rows, &Import::self)) {
    text +=
        fmt::format("{:>11.3f} {:>9.3f}  {}{}{}\n", Milliseconds(import->self),
                    Milliseconds(import->end - import->begin), Shown(import->module),
                    import->importer.empty() ? "" : fmt::format("  [{}]", Shown(import->importer)),
                    import->failed ? "  failed" : "");
  }
  rows = top == 0 ? trace.unused.size() : std::min(top, trace.unused.size());
  text += fmt::format("\nnever used: {} files, {}; largest\n", trace.unused.size(),
                      Size(Summarise(trace).unused_size));
  for (std::size_t i = 0; i < rows; ++i)
    text += fmt::format("{:>11}  {}\n", Size(trace.unused[i].size), Shown(trace.unused[i].path));
  return text;
}

}  // namespace haft::trace

// A result as table, JSON and HTML page.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "haft/base/embedded_file.h"
#include "haft/base/html_page.h"
#include "haft/bench/bench.h"

namespace haft {
std::span<const EmbeddedFile> BenchPage();  // page.html
}

namespace haft::bench {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kBase = "unpacked";

std::optional<Ratio> RatioToBase(const BenchResult& result, const Series& series) {
  const Series* base = result.Find(series.file, kBase, series.condition);
  if (base == nullptr || base->samples.size() != series.samples.size() || series.samples.empty())
    return std::nullopt;
  return RatioOf(series.Values(&Sample::wall_ms), base->Values(&Sample::wall_ms));
}

double Median(const Series& series, double Sample::*member) {
  return SpreadOf(series.Values(member)).median;
}

std::string Line(const BenchResult& result, const Series& series) {
  Spread wall = SpreadOf(series.Values(&Sample::wall_ms));
  std::string ratio;
  if (auto found = RatioToBase(result, series)) {
    ratio = series.variant == kBase
                ? "1"
                : fmt::format("{:.3f} ({:.3f}-{:.3f})", found->value, found->low, found->high);
  }
  return fmt::format(
      "  {:<16} {:>9.1f} {:>9.1f} {:>9.1f}   {:<21} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f}\n",
      series.variant, wall.median, wall.p10, wall.p90, ratio, Median(series, &Sample::cpu_ms),
      Median(series, &Sample::helper_cpu_ms), Median(series, &Sample::peak_mb),
      Median(series, &Sample::helper_peak_mb));
}

ordered_json SeriesJson(const BenchResult& result, const Series& series) {
  Spread wall = SpreadOf(series.Values(&Sample::wall_ms));
  ordered_json json = {{"file", series.file},
                       {"variant", series.variant},
                       {"cold", series.condition.cold},
                       {"parallel", series.condition.parallel},
                       {"median_ms", wall.median},
                       {"p10_ms", wall.p10},
                       {"p90_ms", wall.p90},
                       {"wall_ms", series.Values(&Sample::wall_ms)},
                       {"cpu_ms", series.Values(&Sample::cpu_ms)},
                       {"server_cpu_ms", series.Values(&Sample::helper_cpu_ms)},
                       {"peak_mb", series.Values(&Sample::peak_mb)},
                       {"server_peak_mb", series.Values(&Sample::helper_peak_mb)}};
  if (auto ratio = RatioToBase(result, series)) {
    json["ratio"] = {
        {"to", kBase}, {"value", ratio->value}, {"low", ratio->low}, {"high", ratio->high}};
  }
  return json;
}

ordered_json AsJson(const BenchResult& result, const std::vector<Verdict>& verdicts) {
  utsname host = {};
  ::uname(&host);
  ordered_json json = {{"haft", HAFT_VERSION},
                       {"kernel", host.release},
                       {"machine", host.machine},
                       {"cpus", std::thread::hardware_concurrency()},
                       {"arguments", result.arguments},
                       {"rounds", result.rounds},
                       {"warnings", result.warnings},
                       {"notes", result.notes},
                       {"results", ordered_json::array()},
                       {"checks", ordered_json::array()}};
  for (const Series& series : result.series) json["results"].push_back(SeriesJson(result, series));
  for (const Verdict& verdict : verdicts) {
    json["checks"].push_back(
        {{"limit", verdict.limit.text},
         {"file", verdict.file},
         {"value", verdict.value ? ordered_json(*verdict.value) : ordered_json()},
         {"kept", verdict.kept()}});
  }
  return json;
}

std::string Dump(const ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string ToTable(const BenchResult& result, const std::vector<Verdict>& verdicts) {
  std::string text;
  const Series* previous = nullptr;
  for (const Series& series : result.series) {
    if (previous == nullptr || previous->file != series.file ||
        previous->condition != series.condition) {
      text += fmt::format("\n{} {}: {}; {} rounds\n", series.file, fmt::join(result.arguments, " "),
                          Describe(series.condition), result.rounds);
      text +=
          "                             milliseconds                               CPU (ms)        "
          "   peak (MB)\n"
          "  form                median       p10       p90   ratio (95 %)           program   "
          "server  program   server\n";
    }
    text += Line(result, series);
    previous = &series;
  }
  text += "\n";
  for (const std::string& warning : result.warnings) text += fmt::format("warning: {}\n", warning);
  for (const std::string& note : result.notes) text += fmt::format("{}\n", note);
  for (const Verdict& verdict : verdicts) {
    text += fmt::format("check {}: {}: {} {}\n", verdict.limit.text, verdict.file,
                        verdict.value ? fmt::format("{:.3f}", *verdict.value) : "not measured",
                        verdict.kept() ? "kept" : "MISSED");
  }
  return text.substr(1);
}

std::string ToJson(const BenchResult& result, const std::vector<Verdict>& verdicts) {
  return Dump(AsJson(result, verdicts), 1) + "\n";
}

std::string ToHtml(const BenchResult& result, const std::vector<Verdict>& verdicts) {
  return FillPage(BenchPage()[0].bytes, Dump(AsJson(result, verdicts), -1));
}

}  // namespace haft::bench

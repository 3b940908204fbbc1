#include <fmt/format.h>

#include <algorithm>

#include "haft/base/text.h"
#include "haft/bench/bench.h"

namespace haft::bench {
namespace {

constexpr std::string_view kServerMemory = "server-memory";
constexpr std::string_view kServerCpu = "server-cpu";

double MedianOf(const Series& series, double Sample::*member) {
  return SpreadOf(series.Values(member)).median;
}

std::optional<double> Measured(const BenchResult& result, const std::string& file,
                               const Limit& limit) {
  const Series* bundle = result.Find(file, "bundle", limit.condition);
  if (bundle == nullptr || bundle->samples.empty()) return std::nullopt;
  if (limit.subject == kServerMemory) return MedianOf(*bundle, &Sample::helper_peak_mb);
  if (limit.subject == kServerCpu)
    return MedianOf(*bundle, &Sample::helper_cpu_ms) / MedianOf(*bundle, &Sample::cpu_ms);
  const Series* other = result.Find(file, limit.subject, limit.condition);
  if (other == nullptr || other->samples.empty()) return std::nullopt;
  return MedianOf(*bundle, &Sample::wall_ms) / MedianOf(*other, &Sample::wall_ms);
}

}  // namespace

Result<Limit> ParseLimit(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Failure(
        Error(ErrorKind::kUsage, fmt::format("--check {}: {}", Quoted(text), why))
            .Remedy("write VARIANT[@cold][@PARALLEL]<=NUMBER, for example unpacked@cold<=0.85"));
  };
  auto sign = text.find("<=");
  if (sign == text.npos) return bad("no <=");
  Limit limit{.text = std::string(text), .subject = {}, .condition = {}, .maximum = 0};
  limit.maximum = ToNumber<double>(text.substr(sign + 2)).value_or(0);
  if (!(limit.maximum > 0)) return bad("no positive number after <=");
  std::string_view rest = text.substr(0, sign);
  if (rest.ends_with('@')) return bad("nothing after @");
  auto next = [&] { return TakeUntil(rest, '@'); };
  limit.subject = next();
  std::vector<std::string> names = VariantNames();
  bool known = std::ranges::find(names, limit.subject) != names.end() ||
               limit.subject == kServerMemory || limit.subject == kServerCpu;
  if (!known) return bad("no such variant");
  while (!rest.empty()) {
    std::string_view word = next();
    if (word == "cold") {
      limit.condition.cold = true;
    } else {
      limit.condition.parallel = ToNumber<unsigned>(word).value_or(0);
      if (limit.condition.parallel == 0)
        return bad("neither 'cold' nor a number of starts after @");
    }
  }
  return limit;
}

std::vector<Verdict> Judge(const BenchResult& result, const std::vector<Limit>& limits) {
  std::vector<std::string> files;
  for (const Series& series : result.series) {
    if (std::ranges::find(files, series.file) == files.end()) files.push_back(series.file);
  }
  std::vector<Verdict> verdicts;
  for (const Limit& limit : limits) {
    for (const std::string& file : files)
      verdicts.push_back({.limit = limit, .file = file, .value = Measured(result, file, limit)});
  }
  return verdicts;
}

}  // namespace haft::bench

// Cold starts of the same program in several forms, measured side by side.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/bench/measured_start.h"
#include "haft/bench/sample_statistics.h"
#include "haft/bench/variant.h"

namespace haft::bench {

// Under which conditions starts are measured.
struct Condition {
  bool cold = false;      // the page cache is dropped before
  unsigned parallel = 1;  // starts at once
  bool operator==(const Condition&) const = default;
};
std::string Describe(const Condition& condition);

struct BenchPlan {
  std::vector<std::string> files;
  std::vector<std::string> arguments;
  std::set<std::string, std::less<>> wanted;  // variants; empty: all
  std::vector<Condition> conditions;
  unsigned rounds = 15;
  std::string directory;  // for what is made; exists, is empty
};

// The samples of one variant of one file under one condition, one per round.
struct Series {
  std::string file;
  std::string variant;
  Condition condition;
  std::vector<Sample> samples;

  std::vector<double> Values(double Sample::*member) const;
};

struct BenchResult {
  std::vector<std::string> arguments;
  unsigned rounds;
  std::vector<std::string> warnings;  // what makes the numbers mean less
  std::vector<std::string> notes;     // what was left out
  std::vector<Series> series;         // by condition, file, variant

  const Series* Find(std::string_view file, std::string_view variant,
                     const Condition& condition) const;
};

// Every round starts every variant once, in an order of its own; a first round is not counted: it
// fills caches, and drops variants that do not do what the bundle does (with a note). An error if
// the bundle itself fails. `progress`: what is done, how much of how much.
using Progress =
    std::function<void(std::string_view step, std::uint64_t done, std::uint64_t total)>;
Result<BenchResult> RunBench(const BenchPlan& plan, const Environment& environment,
                             const Progress& progress);

// Variables, processors, load: what distorts a measurement here and now.
std::vector<std::string> WarningsOf(const Environment& environment, const std::string& directory,
                                    double load, unsigned cpus);

// A limit to be kept: the bundle's time as a ratio to another variant's ("unpacked@cold@8<=0.85"),
// "server-memory<=8" (MB), or "server-cpu<=0.1" (of the program's).
struct Limit {
  std::string text;
  std::string subject;
  Condition condition;
  double maximum;
};
Result<Limit> ParseLimit(std::string_view text);

struct Verdict {
  Limit limit;
  std::string file;
  std::optional<double> value;  // nullopt: not measured
  bool kept() const { return value && *value <= limit.maximum; }
};
std::vector<Verdict> Judge(const BenchResult& result, const std::vector<Limit>& limits);

std::string ToTable(const BenchResult& result, const std::vector<Verdict>& verdicts);
std::string ToJson(const BenchResult& result, const std::vector<Verdict>& verdicts);
// One self-contained page with plots.
std::string ToHtml(const BenchResult& result, const std::vector<Verdict>& verdicts);

}  // namespace haft::bench

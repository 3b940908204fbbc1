#include "haft/bench/bench.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "haft/base/interruption.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"

namespace haft::bench {
namespace {

struct Candidate {
  std::string file;
  Variant variant;
};

double LoadAverage() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

Result<std::vector<Candidate>> MakeCandidates(const BenchPlan& plan, const Environment& environment,
                                              const Progress& progress, BenchResult& result) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < plan.files.size(); ++i) {
    std::string directory = fmt::format("{}/{}", plan.directory, i);
    if (::mkdir(directory.c_str(), 0755) < 0) return Failure(Error::FromErrno(Quoted(directory)));
    VariantRequest request{.file = plan.files[i],
                           .arguments = plan.arguments,
                           .directory = directory,
                           .wanted = plan.wanted};
    auto made = MakeVariants(request, environment, [&](std::string_view name) {
      progress(fmt::format("make {}", name), i, plan.files.size());
    });
    TRY(Interruption::Check());  // what it returned may be the signal's doing
    if (!made) return Failure(std::move(made).error());
    for (Variant& variant : made->variants)
      candidates.push_back({plan.files[i], std::move(variant)});
    for (std::string& note : made->notes)
      result.notes.push_back(plan.files.size() > 1 ? fmt::format("{}: {}", plan.files[i], note)
                                                   : note);
  }
  return candidates;
}

// "exit status 1: LAST LINE IT WROTE"
std::string DescribeEnd(const Sample& sample) {
  const std::string_view text = LastLine(sample.output);
  return fmt::format("{}{}{}", DescribeStatus(sample.status), text.empty() ? "" : ": ", text);
}

// The round that is not counted. What fails, or says something else than the bundle, is no
// comparison.
Result<> TryAll(std::vector<Candidate>& candidates, const Progress& progress, BenchResult& result) {
  std::string expected;
  std::vector<Candidate> good;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    progress("try", i, candidates.size());
    const std::string& name = candidate.variant.name;
    auto sample = MeasureStart(candidate.variant.start, 1, true);
    TRY(Interruption::Check());
    auto drop = [&](std::string_view why) {
      result.notes.push_back(fmt::format("{}: left out: {}", name, why));
    };
    if (name == "bundle" || name == "unpacked") {
      if (!sample) return Failure(std::move(sample).error().Within(name));
      if (sample->status != 0) {
        return Failure(
            Error(ErrorKind::kInvalidInput,
                  fmt::format("{}: {}: {}", Quoted(candidate.file), name, DescribeEnd(*sample)))
                .Remedy("give arguments after -- with which the program succeeds"));
      }
    }
    if (name == "bundle") expected = sample->output;
    if (!sample) {
      drop(sample.error().message());
    } else if (sample->status != 0) {
      drop(fmt::format("the program ends with {}", DescribeEnd(*sample)));
    } else {
      if (sample->output != expected)
        result.notes.push_back(fmt::format("{}: prints something else than the bundle", name));
      good.push_back(std::move(candidate));
    }
  }
  candidates = std::move(good);
  return {};
}

// Number i is of candidate i % candidates.size().
std::vector<Series> EmptySeries(const std::vector<Condition>& conditions,
                                const std::vector<Candidate>& candidates) {
  std::vector<Series> series;
  for (const Condition& condition : conditions) {
    for (const Candidate& candidate : candidates) {
      series.push_back({.file = candidate.file,
                        .variant = candidate.variant.name,
                        .condition = condition,
                        .samples = {}});
    }
  }
  return series;
}

}  // namespace

std::string Describe(const Condition& condition) {
  return fmt::format("page cache {}, {}", condition.cold ? "dropped" : "warm",
                     condition.parallel == 1
                         ? "one start at a time"
                         : fmt::format("{} starts at once", condition.parallel));
}

std::vector<double> Series::Values(double Sample::*member) const {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.*member);
  return values;
}

const Series* BenchResult::Find(std::string_view file, std::string_view variant,
                                const Condition& condition) const {
  auto found = std::ranges::find_if(series, [&](const Series& one) {
    return one.file == file && one.variant == variant && one.condition == condition;
  });
  return found == series.end() ? nullptr : &*found;
}

std::vector<std::string> WarningsOf(const Environment& environment, const std::string& directory,
                                    double load, unsigned cpus) {
  std::vector<std::string> warnings;
  const std::vector<std::pair<std::string_view, std::string_view>> variables = {
      {"PYTHONDONTWRITEBYTECODE", "forms that compile at their first start do it at every start"},
      {"PYTHONPYCACHEPREFIX", "compiled files are looked for elsewhere"},
      {"PYTHONUNBUFFERED", "every print is a system call"},
      {"PYTHONOPTIMIZE", "the compiled files in the bundle are not those that are used"},
      {"PYTHONPROFILEIMPORTTIME", "imports are slowed down by telling their time"},
      {"PYTHONVERBOSE", "imports are slowed down by telling of them"},
      {"PYTHONDEVMODE", "Python checks more than usual"},
      {"PYTHONMALLOC", "Python uses another allocator"},
      {"PYTHONTRACEMALLOC", "allocations are traced"},
      {"PYTHONSTARTUP", "it may be read"},
      {"PYTHONPATH", "its directories are searched as well"},
      {"COVERAGE_PROCESS_START", "coverage traces every line"},
      {"COVERAGE_PROCESS_CONFIG", "coverage traces every line"},
      {"LD_PRELOAD", "it is loaded into every process"},
      {"LD_LIBRARY_PATH", "it changes how libraries are found"},
      {variables::kLog, "the bundle prints the steps of its start"},
      {variables::kMode, "the bundle may not choose how to mount"},
      {variables::kIndex, "the bundle may not use its import index"},
      {variables::kTraceEvents, "the bundle is traced"},
  };
  for (const auto& [name, effect] : variables) {
    if (environment.Get(name)) warnings.push_back(fmt::format("{} is set: {}", name, effect));
  }
  if (cpus == 1) warnings.push_back("one CPU: server and program cannot run at the same time");
  if (load > cpus / 2.0)
    warnings.push_back(fmt::format(
        "the machine is busy (load {:.1f} on {} CPUs): times mean little, ratios less than usual",
        load, cpus));
  struct statfs status;
  if (::statfs(directory.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC) {
    warnings.push_back(
        "the unpacked files are in memory (tmpfs), not on a disk; choose another --work");
  }
  return warnings;
}

Result<BenchResult> RunBench(const BenchPlan& plan, const Environment& environment,
                             const Progress& progress) {
  BenchResult result{.arguments = plan.arguments,
                     .rounds = plan.rounds,
                     .warnings = {},
                     .notes = {},
                     .series = {}};
  result.warnings =
      WarningsOf(environment, plan.directory, LoadAverage(), std::thread::hardware_concurrency());
  std::vector<Candidate> candidates = TRY(MakeCandidates(plan, environment, progress, result));
  TRY(TryAll(candidates, progress, result));
  result.series = EmptySeries(plan.conditions, candidates);
  // Everything in every round, so that whatever else happens on the machine happens to all.
  std::vector<std::size_t> order(result.series.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(1);
  std::uint64_t done = 0;
  std::set<std::size_t> dropped;  // candidates that failed meanwhile
  for (unsigned round = 0; round < plan.rounds; ++round) {
    std::ranges::shuffle(order, random);
    for (std::size_t i : order) {
      progress("measure", done++, plan.rounds * order.size());
      Series& series = result.series[i];
      const Candidate& candidate = candidates[i % candidates.size()];
      if (dropped.contains(i % candidates.size())) continue;
      if (series.condition.cold) TRY(DropPageCache());
      auto measured = MeasureStart(candidate.variant.start, series.condition.parallel, false);
      TRY(Interruption::Check());
      if (measured && measured->status == 0) {
        series.samples.push_back(*std::move(measured));
        continue;
      }
      Error error = measured
                        ? Error(ErrorKind::kSystem, fmt::format("{}: {}, after it had succeeded",
                                                                Quoted(candidate.file),
                                                                DescribeStatus(measured->status)))
                        : std::move(measured).error();
      const std::string& name = candidate.variant.name;
      if (name == "bundle" || name == "unpacked") return Failure(std::move(error).Within(name));
      // What the others have measured is not lost with it.
      result.notes.push_back(fmt::format("{}: left out: {}", name, error.message()));
      dropped.insert(i % candidates.size());
    }
  }
  std::erase_if(result.series, [&](const Series& series) {
    return std::ranges::any_of(dropped, [&](std::size_t i) {
      return candidates[i].file == series.file && candidates[i].variant.name == series.variant;
    });
  });
  if (LoadAverage() > std::thread::hardware_concurrency() + 1.0 && plan.conditions.size() == 1 &&
      plan.conditions[0].parallel == 1) {
    result.warnings.push_back("the machine became busy while measuring");
  }
  return result;
}

}  // namespace haft::bench

// bench: how fast a bundle starts, beside the same program in other forms.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "commands.h"
#include "haft/base/atomic_file.h"
#include "haft/base/file_io.h"
#include "haft/base/foreground.h"
#include "haft/base/interruption.h"
#include "haft/base/temporary_directory.h"
#include "haft/base/text.h"
#include "haft/bench/bench.h"
#include "output.h"
#include "progress_bar.h"

namespace haft::cli {
namespace {

Result<std::vector<bench::Condition>> ParseConditions(const Arguments& arguments) {
  std::vector<bench::Condition> conditions;
  const std::string counts = arguments.Has("parallel") ? arguments.Get("parallel") : "1";
  for (const std::string_view word : Split(counts, ',')) {
    const auto parallel = TRY(ParseNumber("--parallel", word, 1000));
    conditions.push_back({.cold = false, .parallel = parallel});
  }
  if (!arguments.Has("cold")) return conditions;
  if (::geteuid() != 0) {
    return Failure(Error(ErrorKind::kUnsupported, "--cold: only root may drop the page cache")
                       .Remedy("start it as root"));
  }
  for (std::size_t i = 0, warm = conditions.size(); i < warm; ++i) {
    conditions.push_back({.cold = true, .parallel = conditions[i].parallel});
  }
  return conditions;
}

Result<std::set<std::string, std::less<>>> ParseVariants(const Arguments& arguments) {
  std::set<std::string, std::less<>> wanted;
  if (!arguments.Has("only")) return wanted;
  std::vector<std::string> names = bench::VariantNames();
  const std::string only = arguments.Get("only");
  for (const std::string_view word : Split(only, ',')) {
    if (std::ranges::find(names, word) == names.end()) {
      return Failure(Error(ErrorKind::kUsage, fmt::format("--only: {}: no such form", Quoted(word)))
                         .Remedy(fmt::format("known are {}", fmt::join(names, ", "))));
    }
    wanted.emplace(word);
  }
  return wanted;
}

// Programs are started by path.
std::string WithDirectory(const std::string& file) {
  return file.find('/') == file.npos ? "./" + file : file;
}

Result<> Write(const Arguments& arguments, const char* option, const std::string& text) {
  if (!arguments.Has(option)) return {};
  std::string path = arguments.Get(option);
  if (path == "-") return Print(text);
  AtomicFile file = TRY(AtomicFile::Create(path, 0666));
  TRY(WriteAll(file.fd(), AsBytes(text)));
  return file.Commit();
}

Result<bench::BenchPlan> MakePlan(const Arguments& arguments) {
  bench::BenchPlan plan;
  for (const std::string& file : arguments.All("FILE..."))
    plan.files.push_back(WithDirectory(file));
  plan.arguments = arguments.All("ARGUMENT...");
  plan.wanted = TRY(ParseVariants(arguments));
  plan.conditions = TRY(ParseConditions(arguments));
  if (arguments.Has("rounds"))
    plan.rounds = TRY(ParseNumber("--rounds", arguments.Get("rounds"), 100'000));
  return plan;
}

void Define(CommandLine& line) {
  line.Value("rounds", "N",
             "how often each form is started, after one start that does not count [15]")
      .Flag("cold",
            "also with the page cache dropped before every start, or before all that start at once "
            "(root)")
      .Value("parallel", "LIST", "how many are started at once, separated by commas [1]")
      .Value("only", "LIST",
             "of the forms only these, separated by commas (bundle and unpacked always)")
      .Value("check", "LIMIT",
             "exit with 1 if it is missed; VARIANT[@cold][@PARALLEL]<=RATIO, server-memory<=MB, "
             "server-cpu<=RATIO; repeatable")
      .Value("json", "OUT", "write all samples there")
      .Value("html", "OUT", "write one self-contained page with plots there")
      .Value("work", "DIR", "where to unpack [/var/tmp]")
      .Positional({"FILE..."}, 1)
      .AfterDashes("ARGUMENT...");
}

Result<int> Run(const Arguments& arguments) {
  bench::BenchPlan plan = TRY(MakePlan(arguments));
  std::vector<bench::Limit> limits;
  for (const std::string& text : arguments.All("check"))
    limits.push_back(TRY(bench::ParseLimit(text)));
  for (const char* option : {"json", "html"}) {
    if (arguments.Has(option) && arguments.Get(option) != "-")
      TRY(AtomicFile::Create(arguments.Get(option), 0666));
  }
  auto result = [&]() -> Result<bench::BenchResult> {
    const Interruption interruption;
    const std::string parent = arguments.Has("work") ? arguments.Get("work") : "/var/tmp";
    TemporaryDirectory work =
        TRY_WITHIN("--work", TemporaryDirectory::Create(parent, "haft-bench-"));
    plan.directory = work.path();
    ProgressBar bar;
    return bench::RunBench(plan, Environment::Current(),
                           [&](std::string_view step, std::uint64_t done, std::uint64_t total) {
                             bar.Show(step, done, total, "starts");
                           });
  }();
  if (const int signal = Interruption::Signal()) EndBySignal(signal);  // everything is removed
  if (!result) return Failure(std::move(result).error());
  std::vector<bench::Verdict> verdicts = bench::Judge(*result, limits);
  TRY(Write(arguments, "json", bench::ToJson(*result, verdicts)));
  TRY(Write(arguments, "html", bench::ToHtml(*result, verdicts)));
  bool piped = (arguments.Has("json") && arguments.Get("json") == "-") ||
               (arguments.Has("html") && arguments.Get("html") == "-");
  if (!piped) TRY(Print(bench::ToTable(*result, verdicts)));
  return std::ranges::all_of(verdicts, &bench::Verdict::kept) ? kOk : kFailed;
}

}  // namespace

constinit const Command kBenchCommand = {
    .name = "bench",
    .summary = "measure how fast bundles start, beside other forms of the program",
    .synopsis = "[OPTION...] FILE... [-- ARGUMENT...]",
    .description =
        "Measures how long bundles take from start to end, beside the same program unpacked in a "
        "directory, as .pyz, with shiv and pex, and from squashfs and erofs images, as far as the "
        "tools for them are installed. All forms are started in turn in every round; servers of "
        "file systems are counted. Ratios are to the unpacked directory.",
    .example =
        "  haft bench ./certbot -- --version\n"
        "  sudo haft bench --cold --parallel 1,2,8 --html start.html ./certbot -- --version\n"
        "  haft bench --only unpacked --check 'unpacked<=1.0' ./certbot -- --version",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli

// trace: runs a bundle as its user would, and tells afterwards what the start did.
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "haft/base/atomic_file.h"
#include "haft/base/file_io.h"
#include "haft/base/foreground.h"
#include "haft/base/log.h"
#include "haft/base/process.h"
#include "haft/base/temporary_directory.h"
#include "haft/base/variables.h"
#include "haft/launch/environment.h"
#include "haft/trace/trace.h"
#include "output.h"
#include "start_file.h"

namespace haft::cli {
namespace {

constexpr std::size_t kMaxEvents = 256u << 20;

// The file that the program's Pythons append to, in a directory that only this user can enter.
class EventsFile {
 public:
  static Result<EventsFile> Create() {
    EventsFile file(TRY(TemporaryDirectory::CreateInTmp("haft-trace-")));
    TRY(OpenFile(file.path(), O_WRONLY | O_CREAT | O_EXCL, 0600));
    return file;
  }

  std::string path() const { return directory_.path() + "/events"; }

 private:
  explicit EventsFile(TemporaryDirectory directory) : directory_(std::move(directory)) {}
  TemporaryDirectory directory_;
};

// The server may still be at the last request when the program has ended already.
void WaitUntilAnswered(const RequestLog& log) {
  for (int i = 0; i < 100 && log.Busy(); ++i) Sleep(std::chrono::milliseconds(1));
}

Result<trace::Trace> RunTraced(const std::string& file, std::vector<std::string> argv) {
  Environment environment = Environment::Current();
  Environment overrides = environment;
  StartImage image = TRY(OpenForStart(file, overrides));
  trace::Run run{.command = argv, .status = 0, .begin = 0, .end = 0};
  std::string program = file;
  if (image.reader.bundle().trailer.runtime_size == 0) {  // started by somebody else: by haft run
    program = "/proc/self/exe";
    argv.insert(argv.begin(), {"haft", "run"});
  }
  RequestLog log = TRY(RequestLog::Create());
  EventsFile events = TRY(EventsFile::Create());
  environment.Set(variables::kTraceLog, fmt::format("{}", log.fd()));
  environment.Set(variables::kTraceEvents, events.path());
  run.begin = MonotonicNow();
  run.status = TRY(RunInForeground(program, argv, environment.entries()));
  run.end = MonotonicNow();
  WaitUntilAnswered(log);
  std::string text = TRY(ReadWholeFile(events.path(), kMaxEvents));
  return trace::Assemble(image.reader, image.manifest.name, std::move(run), log, text);
}

// Before the program runs: a result that could not be written would have run it for nothing.
Result<> CheckResults(const Arguments& arguments) {
  int printed = 0;
  for (const char* name : {"table", "json", "html", "profile"}) {
    if (!arguments.Has(name)) continue;
    if (arguments.Get(name) == "-") {
      ++printed;
    } else {
      TRY(AtomicFile::Create(arguments.Get(name), 0666));
    }
  }
  if (printed <= 1) return {};
  return Failure(Error(ErrorKind::kUsage, "more than one result to standard output")
                     .Remedy("name files for the others"));
}

// "-" is standard output.
Result<> WriteResult(const std::string& path, std::string_view text) {
  if (path == "-") return Print(text);
  AtomicFile file = TRY(AtomicFile::Create(path, 0666));
  TRY(WriteAll(file.fd(), AsBytes(text)));
  return file.Commit();
}

Result<> WriteResults(const Arguments& arguments, const trace::Trace& trace, std::size_t top) {
  if (arguments.Has("json")) TRY(WriteResult(arguments.Get("json"), trace::ToChromeJson(trace)));
  if (arguments.Has("html")) TRY(WriteResult(arguments.Get("html"), trace::ToHtml(trace)));
  if (arguments.Has("profile"))
    TRY(WriteResult(arguments.Get("profile"), trace::ToProfileJson(trace)));
  if (arguments.Has("table")) {
    TRY(WriteResult(arguments.Get("table"), trace::ToTable(trace, top)));
  } else if (!arguments.Has("json") && !arguments.Has("html") && !arguments.Has("profile")) {
    TRY(WriteAll(STDERR_FILENO, AsBytes(trace::ToTable(trace, top))));
  }
  return {};
}

void Define(CommandLine& line) {
  line.Value("table", "OUT", "write the table there")
      .Value("json", "OUT",
             "write trace events there, which Perfetto and Chrome's about:tracing open")
      .Value("html", "OUT", "write one self-contained page there: waterfall, slowest, never used")
      .Value("profile", "OUT",
             "write the files and byte ranges in the order of first use there, for haft build "
             "--profile-from")
      .Value("top", "N", "rows of the table's parts [15]")
      .Flag(
          "all",
          "table: every file touched, in the order of first use, and every import and unused file")
      .Positional({"FILE", "ARGUMENT..."}, 1)
      .OptionsFirst();
}

Result<int> Run(const Arguments& arguments) {
  std::size_t top = 15;
  if (arguments.Has("top")) top = TRY(ParseNumber("--top", arguments.Get("top"), 1'000'000));
  if (arguments.Has("all")) top = 0;
  std::vector<std::string> argv = arguments.All("ARGUMENT...");
  argv.insert(argv.begin(), arguments.Get("FILE"));
  TRY(CheckResults(arguments));
  trace::Trace trace = TRY(RunTraced(arguments.Get("FILE"), std::move(argv)));
  TRY(WriteResults(arguments, trace, top));
  EndLike(trace.run.status);
}

}  // namespace

constinit const Command kTraceCommand = {
    .name = "trace",
    .summary = "run a bundle and tell what its start did",
    .synopsis = "[OPTION...] FILE [ARGUMENT...]",
    .description =
        "Runs a bundle, or what haft run can start, and tells what its start did: every file "
        "touched, when, how long, from which block, and which module imported it. The program runs "
        "as always; the table goes to standard error when it has ended, unless files are named. "
        "Exits as the program does.",
    .example =
        "  haft trace ./certbot --version\n"
        "  haft trace --html start.html --json start.json --profile start.profile ./certbot "
        "--version",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli

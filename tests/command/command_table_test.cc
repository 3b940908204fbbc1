// What is made from a table of commands: overview, manual page, completions.
#include <gtest/gtest.h>

#include <array>

#include "haft/command/command.h"
#include "haft/command/completion.h"
#include "haft/command/manual.h"
#include "support/expect.h"

namespace haft::cli {
namespace {

using testing::Expect;

constexpr Command kList = {
    .name = "list",
    .summary = "list files: all",
    .synopsis = "FILE [PATH...]\n--attach PID",
    .description = "Lists what's in it. It isn't slow.",
    .example = "  haft list -o out app",
    .define =
        [](CommandLine& line) {
          line.Flag("R,recursive", "with [what] is below")
              .Value("o,output", "OUT", "where to; it's replaced")
              .Value("how", "fast|slow", "how")
              .Positional({"FILE", "PATH..."}, 1);
        },
    .run = [](const Arguments&) -> Result<int> { return kOk; },
};
constexpr Command kStart = {
    .name = "start",
    .summary = "start",
    .synopsis = "FILE [ARGUMENT...]",
    .description = "Starts.",
    .example = ".dot and \\",
    .define =
        [](CommandLine& line) {
          line.Value("p", "PYTHON", "by which")
              .Positional({"FILE", "ARGUMENT..."}, 1)
              .OptionsFirst();
        },
    .run = [](const Arguments&) -> Result<int> { return kFailed; },
};
constexpr std::array kTable = {&kList, &kStart};

void ExpectParts(const std::string& text, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) {
    EXPECT_NE(text.find(part), text.npos) << part << "\nin\n" << text;
  }
}

TEST(Overview, NamesEveryCommand) {
  ExpectParts(Overview(kTable), {"usage: haft COMMAND", "  list       list files: all\n",
                                 "  start      start\n", "Example:\n"});
}

TEST(Help, ShowsEachFormOfACommand) {
  ExpectParts(LineOf(kList).Help(), {"  haft list FILE [PATH...]\n  haft list --attach PID\n"});
}

TEST(ManPage, HasEveryOptionAndEscapesRoff) {
  const std::string page = ManPage(kTable);
  ExpectParts(page,
              {".TH HAFT 1", ".SS \"haft list\"", "\\fB\\-R\\fR, \\fB\\-\\-recursive\\fR\n",
               "\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIOUT\\fR\n",
               "\\fBhaft list\\fR \\-\\-attach PID", "\n\\&.dot and \\e\n", ".SH EXIT STATUS"});
}

TEST(Completion, BashHasCommandsOptionsAndKindsOfWords) {
  ExpectParts(BashCompletion(kTable),
              {"-W 'list start'", "options='--help --recursive --output --how'",
               "values=' --output=file -o=file --how=fast|slow '",
               "kinds=('file' 'path') last=true first=false",
               "kinds=('file' 'file') last=true first=true", "complete -F _haft haft"});
}

TEST(Completion, ZshQuotesHelp) {
  ExpectParts(ZshCompletion(kTable),
              {"#compdef haft", "'list:list files\\: all'", "'*-R[with \\[what\\] is below]'",
               "'*--output=[where to; it'\\''s replaced]:OUT:_files'",
               "'*--how=[how]:fast|slow:(fast slow)'", "'*:PATH...:_haft_paths'"});
}

TEST(Completion, FishQuotesHelp) {
  ExpectParts(FishCompletion(kTable),
              {"-n __fish_use_subcommand -a list -d 'list files: all'",
               "-s o -l output -r -F -d 'where to; it\\'s replaced'",
               "-l how -r -a 'fast slow' -d 'how'", "-a '(__haft_inside)'"});
}

TEST(CommandLineWords, WhatFollowsTwoDashesCanBeAListOfItsOwn) {
  CommandLine line("bench", "FILE... [-- ARGUMENT...]", "Measures.", "");
  line.Flag("cold", "").Positional({"FILE..."}, 1).AfterDashes("ARGUMENT...");
  Arguments arguments = Expect(line.Parse({"a", "--cold", "b", "--", "--cold", "--", "c"}));
  EXPECT_EQ(arguments.All("FILE..."), (Words{"a", "b"}));
  EXPECT_EQ(arguments.All("ARGUMENT..."), (Words{"--cold", "--", "c"}));
}

TEST(PointToHelp, OnlyUsageErrorsWithoutARemedy) {
  EXPECT_EQ(PointToHelp(UsageError("a"), "ls").message(), "a; see 'haft ls --help'");
  EXPECT_EQ(PointToHelp(UsageError("a").Remedy("b"), "ls").message(), "a; b");
  EXPECT_EQ(PointToHelp(Error::Invalid("a"), "ls").message(), "a");
}

}  // namespace
}  // namespace haft::cli

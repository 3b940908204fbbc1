#include "build_options.h"

#include <gtest/gtest.h>

#include "project_file.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::cli {
namespace {

using haft::testing::Expect;
using haft::testing::Message;
using haft::testing::TempDir;
using haft::testing::WriteTestFile;
using List = std::vector<std::string>;

std::string Join(const List& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "|") + word;
  return text;
}

class BuildLine : public ::testing::Test {
 protected:
  BuildLine() { DefineBuildOptions(line_); }

  std::string Split(const List& words) {
    auto split = line_.Split(words);
    return split ? Join(split->options) + " / " + Join(split->rest) : split.error().message();
  }
  Result<BuildOptions> Options(List words) {
    words.insert(words.begin(), {"-o", "out", "--runtime", "r", "--no-project"});
    auto options = MakeBuildOptions(TRY(line_.Parse(words)));
    if (!options) return Failure(PointToHelp(std::move(options).error(), "build"));
    return options;
  }
  // What the file gives, as "name=value|value;".
  std::string Project(std::string_view text) {
    TempDir dir;
    WriteTestFile(dir / "p.toml", text);
    auto values = ReadProjectFile(dir / "p.toml", line_);
    if (!values) {
      std::string message = values.error().message();
      return message.substr(message.find("line"));
    }
    std::string all;
    for (const auto& [name, list] : *values) all += name + "=" + Join(list) + ";";
    return all;
  }

  CommandLine line_{"build", "", "", ""};
};

TEST_F(BuildLine, WordsThatAreNotOursArePips) {
  EXPECT_EQ(Split({"-o", "x", "-c", "tool", "requests"}), "-o|x|-c|tool / requests");
  EXPECT_EQ(Split({"requests", "-o", "x", "flask>=2"}), "-o|x / requests|flask>=2");
  EXPECT_EQ(Split({"-ox", "--name=n", "-r", "req.txt", "."}), "-ox|--name=n / -r|req.txt|.");
  EXPECT_EQ(Split({"-E", "--no-index", "--find-links", "d", "-fd", "--find-links=d", "-c", "t"}),
            "-E|-c|t / --no-index|--find-links|d|-fd|--find-links=d");
  EXPECT_EQ(Split({"-c", "--", "a", "--", "-c", "x", "-o", "y"}), "-c|-- / a|-c|x|-o|y")
      << "a value may look like an option";
  EXPECT_EQ(Split({"--", "--", "x"}), " / --|x");
  EXPECT_EQ(Split({"--name"}), "--name / ");
}

TEST_F(BuildLine, WhatNobodyKnowsIsAnError) {
  EXPECT_EQ(Split({"--consol-script", "x"}),
            "option '--consol-script' does not exist; did you mean '--console-script'?");
  EXPECT_EQ(Split({"--nonsense-all"}),
            "option '--nonsense-all' does not exist; options of pip go behind --; see 'haft build "
            "--help'");
  EXPECT_EQ(Split({"-Z"}),
            "option '-Z' does not exist; options of pip go behind --; see 'haft build --help'");
}

TEST_F(BuildLine, GivesOptions) {
  BuildOptions options = Expect(Options({"-c",
                                         "tool",
                                         "--site-packages",
                                         "a",
                                         "--site-packages",
                                         "b",
                                         "--sources",
                                         "s",
                                         "-p",
                                         "/usr/bin/env python3 -sE",
                                         "--python-arg",
                                         "-O",
                                         "--python-arg=-Xdev",
                                         "--inject-env",
                                         "A=b=c",
                                         "--inject-env",
                                         "E=",
                                         "--inject-args",
                                         "--x 'y z'",
                                         "--inject-args",
                                         "w",
                                         "--mount-at",
                                         "/opt/x",
                                         "--isolated",
                                         "--multi-call",
                                         "--build-id",
                                         "7",
                                         "--uncompressed",
                                         "--preamble",
                                         "p.py",
                                         "pkg",
                                         "-E",
                                         "--reproducible",
                                         "--compile-pyc"}));
  EXPECT_EQ(options.entry.console_script, "tool");
  EXPECT_EQ(Join(options.site_packages), "a|b");
  EXPECT_EQ(Join(options.sources), "s");
  EXPECT_EQ(Join(options.pip_arguments), "pkg");
  EXPECT_EQ(options.python, "python3");
  EXPECT_EQ(Join(options.python_arguments), "-s|-O|-Xdev");
  EXPECT_TRUE(options.ignore_environment && options.isolated && options.multi_call &&
              options.compile);
  EXPECT_EQ(options.compression, Compression::kNone);
  ASSERT_EQ(options.environment.size(), 2u);
  EXPECT_EQ(options.environment[0].value, "b=c");
  EXPECT_EQ(options.environment[1].value, "");
  EXPECT_EQ(Join(options.arguments), "--x|y z|w");
  EXPECT_EQ(options.mount, "/opt/x");
  EXPECT_EQ(options.build_id, "7");
  EXPECT_EQ(options.preamble, "p.py");
  EXPECT_EQ(options.name, "out");
}

TEST_F(BuildLine, NoEntryIsAnInterpreterAndEWinsOverC) {
  EXPECT_EQ(Expect(Options({"requests"})).entry.console_script, "");
  BuildOptions both = Expect(Options({"-c", "a", "-e", "b:c", "x"}));
  EXPECT_EQ(both.entry.entry_point, "b:c");
}

TEST_F(BuildLine, RefusesWhatDoesNotFit) {
  const std::string help = "; see 'haft build --help'";
  EXPECT_EQ(Message(Options({"-c", "a"})),
            "what goes into the bundle is missing: --from FILE, --site-packages DIR, --sources "
            "DIR, or packages for pip" +
                help);
  EXPECT_EQ(Message(Options({"-m", "a", "-x", "b"})),
            "only one of -c, -e, -m, -x, --wsgi and --asgi says what the bundle starts" + help);
  EXPECT_EQ(Message(Options({"x", "-c", ""})), "--console-script is empty" + help);
  EXPECT_EQ(Message(Options({"x", "--compressed", "--uncompressed"})),
            "--compressed and --uncompressed exclude each other" + help);
  EXPECT_EQ(Message(Options({"x", "--inject-env", "A"})),
            "--inject-env 'A': is not NAME=VALUE" + help);
  EXPECT_EQ(Message(Options({"x", "--inject-env", "=A"})),
            "--inject-env '=A': is not NAME=VALUE" + help);
  EXPECT_EQ(Message(Options({"x", "--inject-env", "HAFT_SCRIPT=a"})),
            "--inject-env 'HAFT_SCRIPT=a': HAFT_* is for who starts a bundle" + help);
  for (const char* path : {"relative", "/", "/proc/x", "/dev", "/a b", "/a/../b", "/usr", "/etc",
                           "/tmp", "/usr/lib"}) {
    EXPECT_NE(Message(Options({"x", "--mount-at", path})).find("--mount-at"), std::string::npos)
        << path;
  }
  for (const char* word : {"-t", "--target=x", "-tdir", "--target", "--user", "--prefix",
                           "--prefix=/x", "-e", "--editable", "-d", "--download=x"}) {
    auto options = Options({"--", word, "x"});
    ASSERT_FALSE(options) << word;
    EXPECT_EQ(options.error().kind(), ErrorKind::kUsage);
    EXPECT_NE(Message(options).find(std::string("pip argument '") + word), std::string::npos)
        << Message(options);
  }
  EXPECT_TRUE(Options({"--", "--trusted-host", "h", "--no-deps", "--pre", "-r", "f"}));
}

TEST_F(BuildLine, ReadsAProject) {
  EXPECT_EQ(Project("[project]\nname = 'x'\n"), "");
  EXPECT_EQ(Project("[tool.haft]\nconsole-script = 'tool'\nsite-packages = ['a', 'b']\njobs = "
                    "3\nisolated = true\n"
                    "multi-call = false\ncompressed = false\npip = ['.', '-r', 'r.txt']\n"
                    "[tool.haft.inject-env]\nA = 'b=c'\nN = 1\n"),
            "console-script=tool;inject-env=A=b=c|N=1;isolated=;jobs=3;pip=.|-r|r.txt;site-"
            "packages=a|b;uncompressed=;");
}

TEST_F(BuildLine, ProjectErrorsNameLineAndNearestKey) {
  EXPECT_EQ(Project("[tool.haft]\n\nconsole_script = 'x'\n"),
            "line 3: [tool.haft] has no key 'console_script'; did you mean 'console-script'?");
  EXPECT_EQ(Project("[tool.haft]\nhelp = true\n"),
            "line 2: [tool.haft] has no key 'help'; see 'haft build --help'");
  EXPECT_EQ(Project("[tool.haft]\nisolated = 'yes'\n"), "line 2: 'isolated' is true or false");
  EXPECT_EQ(Project("[tool.haft]\nname = true\n"), "line 2: 'name' is text or an array of texts");
  EXPECT_TRUE(Project("[tool.haft\n").starts_with("line 1: ")) << Project("[tool.haft\n");
  EXPECT_EQ(Project("[tool]\nhaft = 1\n"), "");
}

TEST_F(BuildLine, TheCommandLineWins) {
  Arguments arguments;
  arguments.values = {
      {"exe", {"e"}}, {"site-packages", {"mine"}}, {"compressed", {""}}, {"pip", {"p"}}};
  arguments = Merge(std::move(arguments), {{"console-script", {"c"}},
                                           {"site-packages", {"a", "b"}},
                                           {"uncompressed", {""}},
                                           {"pip", {"q"}},
                                           {"name", {"n"}}});
  EXPECT_FALSE(arguments.Has("console-script") || arguments.Has("uncompressed"));
  EXPECT_EQ(Join(arguments.All("site-packages")), "mine");
  EXPECT_EQ(arguments.Get("pip"), "p");
  EXPECT_EQ(arguments.Get("name"), "n");
}

TEST_F(BuildLine, RemarksOnWhatNeedsNothing) {
  Arguments arguments;
  arguments.values = {{"no-modify", {""}}, {"root", {"/x"}}, {"reproducible", {""}}};
  EXPECT_EQ(Remarks(arguments).size(), 2u);
}

}  // namespace
}  // namespace haft::cli

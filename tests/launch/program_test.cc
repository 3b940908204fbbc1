#include "haft/launch/program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using format::PythonTarget;
using testing::Expect;
using testing::Message;
using testing::TempDir;
using testing::WriteTestFile;

// A version that no host has, so that only the files of the test are found.
PythonTarget Target(const std::string& path) {
  return {.path = path,
          .version = "3.98.1",
          .tag = "cpython-398",
          .soabi = "cpython-398-x86_64-linux-gnu"};
}

std::optional<std::string_view> PythonPathFor(std::vector<std::string> entries, Program& program,
                                              TempDir& dir) {
  WriteTestFile(dir / "python3.98", "no script", 0755);
  format::Manifest manifest = testing::TestManifest();
  manifest.python = Target(dir / "python3.98");
  manifest.paths = {"site-packages", "lib/more"};
  auto made = MakeProgram(manifest, {"./app", "-x", "", "a b"}, Environment(std::move(entries)));
  EXPECT_EQ(Message(made), "");
  program = *std::move(made);
  return program.environment.Get("PYTHONPATH");
}

TEST(MakeProgramTest, RunsTheBootstrapWithTheUsersArguments) {
  TempDir dir;
  Program program;
  EXPECT_EQ(
      PythonPathFor({"HOME=/root", "PYTHONPATH=/mine:/yours", "LANG=C"}, program, dir),
      "/run/haft/test/.haft/py:/run/haft/test/site-packages:/run/haft/test/lib/more:/mine:/yours");
  EXPECT_EQ(program.path, dir / "python3.98");
  ASSERT_GE(program.arguments.size(), 5u);
  EXPECT_EQ(program.arguments[0], program.path);
  EXPECT_EQ(std::vector<std::string>(program.arguments.end() - 4, program.arguments.end()),
            (std::vector<std::string>{"/run/haft/test/.haft/bin/app", "-x", "", "a b"}));
  EXPECT_EQ(program.environment.Get("HOME"), "/root");
  EXPECT_EQ(program.environment.Pointers().size(), 4u) << "nothing else is added";
}

// What a start of `manifest` gives, with an interpreter that is there.
class MakeProgramFor : public ::testing::Test {
 protected:
  MakeProgramFor() {
    WriteTestFile(python_, "no script", 0755);
    manifest_.python = Target(python_);
  }

  Program Make(std::vector<std::string> variables = {},
               std::vector<std::string> argv = {"./app", "-x"}) {
    return Expect(
        MakeProgram(manifest_, std::move(argv), Environment(std::move(variables)), "/srv/app"));
  }
  // The arguments, with <> for the bootstrap's code.
  std::string Line(std::vector<std::string> variables = {},
                   std::vector<std::string> argv = {"./app", "-x"}) {
    std::string line;
    for (const std::string& argument : Make(std::move(variables), std::move(argv)).arguments) {
      line +=
          (line.empty() ? "" : " ") + (argument.find("import") != argument.npos ? "<>" : argument);
    }
    return line;
  }

  TempDir dir_;
  std::string python_ = dir_ / "python3.98";
  format::Manifest manifest_ = testing::TestManifest();
};

TEST_F(MakeProgramFor, EveryKindOfEntry) {
  EXPECT_EQ(Line(), python_ + " -X haft=entry:./app /run/haft/test/bin/app -x");
  manifest_.entry.script = "";
  EXPECT_EQ(Line(), python_ + " -X haft=entry:./app /run/haft/test/.haft/bin/test -x");
  manifest_.entry.script = "tool";
  EXPECT_EQ(Line(), python_ + " -X haft=entry:./app /run/haft/test/bin/tool -x");
  manifest_.paths = {""};
  EXPECT_EQ(Line(), python_ + " -X haft=entry:./app /run/haft/test/.haft/bin/tool -x")
      << "bin/ is the archive's";
  manifest_.entry.script = "a/b";
  EXPECT_EQ(Line(), python_ +
                        " -X haft=entry:./app -X haft_entry=app.main:main "
                        "/run/haft/test/.haft/py/_haft_entry.py -x");
  manifest_.entry = {
      .kind = format::EntryKind::kModule, .module = "http.server", .function = "", .script = ""};
  EXPECT_EQ(Line(), python_ + " -X haft=module:./app -m http.server -x");
  manifest_.entry = {.kind = format::EntryKind::kScript,
                     .module = "",
                     .function = "",
                     .script = "",
                     .file = "bin/a b",
                     .python = true};
  EXPECT_EQ(Line(), python_ + " -X haft=script:./app /run/haft/test/bin/a b -x");
  manifest_.entry.python = false;
  EXPECT_EQ(Line(), "/run/haft/test/bin/a b -x");
  EXPECT_EQ(Make().path, "/run/haft/test/bin/a b");
  manifest_.entry = {
      .kind = format::EntryKind::kInterpreter, .module = "", .function = "", .script = ""};
  EXPECT_EQ(Line(), python_ + " -x");
  EXPECT_EQ(
      Line({"HAFT_ENTRY_POINT=a.b.c"}),
      python_ +
          " -X haft=entry:./app -X haft_entry=a.b.c /run/haft/test/.haft/py/_haft_entry.py -x");
}

TEST_F(MakeProgramFor, APreambleGoesThroughTheBootstrap) {
  manifest_.preamble = "bin/pre.py";
  EXPECT_EQ(Line({"HAFT_INTERPRETER=1"}),
            python_ + " -X haft=code:./app -c <> interpreter  ./app -x");
  manifest_.entry = {.kind = format::EntryKind::kScript,
                     .module = "",
                     .function = "",
                     .script = "",
                     .file = "bin/x"};
  EXPECT_EQ(Line(), python_ + " -X haft=code:./app -c <> execute /run/haft/test/bin/x ./app -x");
}

TEST_F(MakeProgramFor, ArgumentsOfTheBundleComeFirstAndBelongToItsEntry) {
  manifest_.arguments = {"--conf", "x"};
  manifest_.python_arguments = {"-O", "-X", "dev"};
  EXPECT_EQ(Line(), python_ + " -O -X dev -X haft=entry:./app /run/haft/test/bin/app --conf x -x");
  EXPECT_EQ(Line({"HAFT_INTERPRETER=1"}), python_ + " -O -X dev -x");
  EXPECT_EQ(Line({"HAFT_ENTRY_POINT=a:b"}), python_ +
                                                " -O -X dev -X haft=entry:./app -X haft_entry=a:b "
                                                "/run/haft/test/.haft/py/_haft_entry.py -x");
  EXPECT_EQ(Line({}, {}),
            python_ + " -O -X dev -X haft=entry:test /run/haft/test/bin/app --conf x");
}

TEST_F(MakeProgramFor, AnInterpreterInTheImage) {
  manifest_.python.path = ".haft/python/bin/python3.98";
  EXPECT_EQ(Make().path, "/run/haft/test/.haft/python/bin/python3.98");
  EXPECT_EQ(
      Line(),
      "/run/haft/test/.haft/python/bin/python3.98 -X haft=entry:./app /run/haft/test/bin/app -x");
  EXPECT_EQ(Message(MakeProgram(manifest_, {"a"}, Environment({"HAFT_PYTHON=/no/python"}))),
            "interpreter '/no/python': No such file or directory; HAFT_PYTHON, and -p of 'haft "
            "run', take a path or a name in PATH");
}

TEST_F(MakeProgramFor, VariablesOfTheBundle) {
  manifest_.environment = {{"A", "1"}, {"B", "2"}, {"A", "3"}};
  Program program = Make({"A=old", "HAFT_BUNDLE=/other", "HAFT_SCRIPT=0"});
  EXPECT_EQ(program.environment.entries(),
            (std::vector<std::string>{
                "A=3", "HAFT_BUNDLE=/srv/app", "B=2",
                "PYTHONPATH=/run/haft/test/.haft/py:/run/haft/test/site-packages"}));
  program = Expect(MakeProgram(manifest_, {"a"}, Environment({"HAFT_BUNDLE=/other"})));
  EXPECT_EQ(program.environment.Get("HAFT_BUNDLE"), std::nullopt);
}

TEST_F(MakeProgramFor, VariablesTheProgramDoesNotGet) {
  manifest_.unset = {"HTTPD", "B"};
  manifest_.environment = {{"B", "the bundle's"}};
  Program program = Make({"HTTPD=/bin/false", "HTTPD_X=1", "B=2"});
  EXPECT_EQ(program.environment.Get("HTTPD"), std::nullopt);
  EXPECT_EQ(program.environment.Get("HTTPD_X"), "1");
  EXPECT_EQ(program.environment.Get("B"), "the bundle's");
}

TEST_F(MakeProgramFor, IsolationAndIgnoredVariables) {
  manifest_.isolated = true;
  EXPECT_EQ(Make({"PYTHONPATH=/mine"}).environment.Get("PYTHONNOUSERSITE"), "1");
  EXPECT_EQ(Make({"PYTHONPATH=/mine"}).environment.Get("PYTHONPATH"),
            "/run/haft/test/.haft/py:/run/haft/test/site-packages:/mine");
  manifest_.isolated = false;
  manifest_.ignore_environment = true;
  manifest_.environment = {{"PYTHONHASHSEED", "0"}};
  EXPECT_EQ(
      Make({"PYTHONPATH=/mine", "PYTHONHOME=/x", "PYTHONHASHSEED=7"}).environment.entries(),
      (std::vector<std::string>{"PYTHONHASHSEED=0",
                                "PYTHONPATH=/run/haft/test/.haft/py:/run/haft/test/site-packages",
                                "HAFT_BUNDLE=/srv/app"}));
}

// A program that starts its own bundle a thousand times over would else reach E2BIG.
TEST_F(MakeProgramFor, DirectoriesOfAnotherBundleAreNotHandedOn) {
  auto path = [&](const std::string& old) {
    Program program = Make({"PYTHONPATH=" + old});
    std::string now(*program.environment.Get("PYTHONPATH"));
    EXPECT_TRUE(now.starts_with("/run/haft/test/.haft/py:/run/haft/test/site-packages"));
    return now.substr(std::string("/run/haft/test/.haft/py:/run/haft/test/site-packages").size());
  };
  EXPECT_EQ(path("/run/haft/test/.haft/py:/run/haft/test/site-packages:/mine"), ":/mine");
  EXPECT_EQ(
      path(
          "/run/haft/out/.haft/py:/run/haft/out/site-packages:/run/haft/out:/run/haft/outer:/mine"),
      ":/run/haft/outer:/mine");
  EXPECT_EQ(path("/mine:/run/haft/a/.haft/py:/run/haft/a/s:/yours"), ":/mine:/yours");
  EXPECT_EQ(path("/mine::/yours:"), ":/mine:/yours") << "no working directory";
}

TEST(MakeProgramTest, AnEmptyPythonPathAddsNoWorkingDirectory) {
  TempDir dir;
  Program program;
  const std::string ours =
      "/run/haft/test/.haft/py:/run/haft/test/site-packages:/run/haft/test/lib/more";
  EXPECT_EQ(PythonPathFor({"PYTHONPATH="}, program, dir), ours);
  EXPECT_EQ(PythonPathFor({}, program, dir), ours);
}

TEST(MakeProgramTest, NeedsAnEntry) {
  format::Manifest manifest = testing::TestManifest();
  manifest.entry = {};
  auto made = MakeProgram(manifest, {"app"}, Environment(std::vector<std::string>{}));
  EXPECT_EQ(Message(made),
            "the image has no entry to run; name one with HAFT_SCRIPT or HAFT_ENTRY_POINT");
  EXPECT_EQ(made.error().kind(), ErrorKind::kUnsupported);
}

TEST(ExecuteTest, SaysWhyItCouldNot) {
  TempDir dir;
  auto run = [](const std::string& path, std::vector<std::string> arguments = {"x"}) {
    return Execute({.path = path,
                    .arguments = std::move(arguments),
                    .environment = Environment(std::vector<std::string>{})});
  };
  Error missing = run(dir / "missing");
  EXPECT_EQ(missing.message(), "run '" + (dir / "missing") + "': No such file or directory");
  EXPECT_EQ(ExitStatusFor(missing), 127);
  WriteTestFile(dir / "text", "x", 0644);
  EXPECT_EQ(ExitStatusFor(run(dir / "text")), 126);
  EXPECT_EQ(ExitStatusFor(run((dir / "text") + "/x")), 127);
  Error large = run("/bin/true", {"x", std::string(8 << 20, 'x')});
  EXPECT_EQ(large.sys_errno(), E2BIG);
  EXPECT_EQ(large.remedy(), "arguments and environment are too large");
  EXPECT_EQ(ExitStatusFor(large), 126);
}

TEST(ExecuteTest, GivesArgumentsAndEnvironmentAsTheyAre) {
  pid_t child = ::fork();
  if (child == 0) {
    Error error =
        Execute({.path = "/bin/sh",
                 .arguments = {"name", "-c", "test \"$0/$1/$HAFT_X\" = 'a//b c'", "a", ""},
                 .environment = Environment({"HAFT_X=b c"})});
    ::_exit(99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace haft

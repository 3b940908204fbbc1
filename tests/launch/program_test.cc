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
  return {.path = path, .version = "3.98.1", .tag = "cpython-398", .soabi = "cpython-398-x86_64-linux-gnu"};
}

Environment Path(const std::string& path) { return Environment({"PATH=" + path}); }

class ChooseInterpreterTest : public ::testing::Test {
 protected:
  std::string Program(std::string_view name) {
    WriteTestFile(dir_ / name, "#!/bin/sh\n", 0755);
    return dir_ / name;
  }

  TempDir dir_;
};

TEST_F(ChooseInterpreterTest, TakesTheOneOfTheManifest) {
  std::string python = Program("python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter(Target(python), Path("/nowhere"))), python);
  // Where the name does not tell, the bootstrap looks again.
  for (std::string_view name : {"python3", "python", "pypy3", "python3-config", "python3.98-dbg", "python3.12.old"}) {
    EXPECT_EQ(Expect(ChooseInterpreter(Target(Program(name)), Path(""))), dir_ / name) << name;
  }
}

TEST_F(ChooseInterpreterTest, RefusesAnotherVersionNamingBoth) {
  std::string python = Program("python3.12");
  auto chosen = ChooseInterpreter(Target(python), Path("/nowhere"));
  EXPECT_EQ(Message(chosen), "needs Python 3.98: '" + python +
                                 "' is Python 3.12; install python3.98 or put python3.98 into PATH");
  EXPECT_EQ(chosen.error().kind(), ErrorKind::kNotFound);
}

TEST_F(ChooseInterpreterTest, LooksBehindSymbolicLinks) {
  Program("python3.12");
  ASSERT_EQ(::symlink("python3.12", (dir_ / "python3").c_str()), 0);
  EXPECT_EQ(Message(ChooseInterpreter(Target(dir_ / "python3"), Path(""))),
            "needs Python 3.98: '" + (dir_ / "python3") + "' is Python 3.12; install python3.98 or put python3.98 into PATH");
  // The link was moved on to another version, but the right one is in PATH.
  std::string right = Program("bin/python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter(Target(dir_ / "python3"), Path(dir_ / "bin"))), right);
}

TEST_F(ChooseInterpreterTest, SearchesPathInOrder) {
  std::string second = Program("b/python3.98");
  std::string path = "/nowhere:" + (dir_ / "a") + ":" + (dir_ / "b") + ":" + (dir_ / "c");
  Program("c/python3.98");
  WriteTestFile(dir_ / "a/python3.98", "not executable", 0644);
  // Root may execute what has any x bit; this one has none.
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(path))), second);
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(":" + path + ":"))), second);
}

TEST_F(ChooseInterpreterTest, NeverSearchesTheWorkingDirectory) {
  Program("python3.98");
  Program("sub/python3.98");
  char before[4096];
  ASSERT_NE(::getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(::chdir(dir_.path().c_str()), 0);
  for (std::string_view path : {"", ".", ":", "::", "sub", "./sub", "sub:", "~"}) {
    EXPECT_EQ(Message(ChooseInterpreter(Target("/nowhere/python3.98"), Path(std::string(path)))),
              "needs Python 3.98: '/nowhere/python3.98' is not there; install python3.98 or put python3.98 into PATH")
        << path;
  }
  EXPECT_FALSE(ChooseInterpreter(Target("/nowhere/python3.98"), Environment(std::vector<std::string>{})).has_value());
  EXPECT_EQ(::chdir(before), 0);
}

TEST_F(ChooseInterpreterTest, ADirectoryIsNoInterpreter) {
  std::string right = Program("bin/python3.98");
  ASSERT_EQ(::mkdir((dir_ / "python3").c_str(), 0755), 0);
  EXPECT_EQ(Expect(ChooseInterpreter(Target(dir_ / "python3"), Path(dir_ / "bin"))), right);
}

TEST_F(ChooseInterpreterTest, NeedsAManifestThatNamesOne) {
  EXPECT_EQ(Message(ChooseInterpreter({}, Path("/usr/bin"))), "the manifest names no interpreter");
}

std::optional<std::string_view> PythonPathFor(std::vector<std::string> entries, Program& program, TempDir& dir) {
  WriteTestFile(dir / "python3.98", "#!/bin/sh\n", 0755);
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
  EXPECT_EQ(PythonPathFor({"HOME=/root", "PYTHONPATH=/mine:/yours", "LANG=C"}, program, dir),
            "/haft/test/.haft/py:/haft/test/site-packages:/haft/test/lib/more:/mine:/yours");
  EXPECT_EQ(program.path, dir / "python3.98");
  ASSERT_GE(program.arguments.size(), 5u);
  EXPECT_EQ(program.arguments[0], program.path);
  EXPECT_EQ(std::vector<std::string>(program.arguments.end() - 4, program.arguments.end()),
            (std::vector<std::string>{"./app", "-x", "", "a b"}));
  EXPECT_EQ(program.environment.Get("HOME"), "/root");
  EXPECT_EQ(program.environment.Pointers().size(), 4u) << "nothing else is added";
}

TEST(MakeProgramTest, AnEmptyPythonPathAddsNoWorkingDirectory) {
  TempDir dir;
  Program program;
  const std::string ours = "/haft/test/.haft/py:/haft/test/site-packages:/haft/test/lib/more";
  EXPECT_EQ(PythonPathFor({"PYTHONPATH="}, program, dir), ours);
  EXPECT_EQ(PythonPathFor({}, program, dir), ours);
}

TEST(MakeProgramTest, NeedsAnEntry) {
  format::Manifest manifest = testing::TestManifest();
  manifest.entry = {};
  auto made = MakeProgram(manifest, {"app"}, Environment(std::vector<std::string>{}));
  EXPECT_EQ(Message(made), "the image has no entry to run");
  EXPECT_EQ(made.error().kind(), ErrorKind::kUnsupported);
}

TEST(ExecuteTest, SaysWhyItCouldNot) {
  TempDir dir;
  auto run = [](const std::string& path, std::vector<std::string> arguments = {"x"}) {
    return Execute({.path = path, .arguments = std::move(arguments), .environment = Environment(std::vector<std::string>{})});
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
    Error error = Execute({.path = "/bin/sh",
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

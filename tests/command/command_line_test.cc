#include "haft/command/command_line.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft::cli {
namespace {

using testing::Expect;
using testing::Message;

using Words = std::vector<std::string>;

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    line_.Flag("long", "show all")
        .Flag("R,recursive", "and what is below")
        .Value("o,output", "FILE", "where to")
        .Value("site-packages", "DIR", "may be given several times")
        .Positional({"FILE", "PATH..."}, 1);
  }

  CommandLine line_{"list", "[OPTION...] FILE [PATH...]", "Lists.", "  haft list app\n"};
};

TEST_F(CommandLineTest, TakesWordsInOrder) {
  Arguments arguments = Expect(line_.Parse({"app", "a", "b,c", ""}));
  EXPECT_FALSE(arguments.help);
  EXPECT_EQ(arguments.Get("FILE"), "app");
  EXPECT_EQ(arguments.All("PATH..."), (Words{"a", "b,c", ""}));
  EXPECT_FALSE(arguments.Has("long"));
  EXPECT_EQ(arguments.Get("output"), "");
  EXPECT_TRUE(arguments.All("output").empty());
}

TEST_F(CommandLineTest, TakesOptionsInEveryForm) {
  for (const Words& words :
       {Words{"-R", "--long", "-o", "x", "app"},
        Words{"app", "--output=x", "--long", "--recursive"},
        Words{"--output", "x", "app", "-R", "--long"}, Words{"-ox", "-R", "app", "--long"}}) {
    Arguments arguments = Expect(line_.Parse(words));
    EXPECT_TRUE(arguments.Has("long"));
    EXPECT_TRUE(arguments.Has("recursive"));
    EXPECT_EQ(arguments.Get("output"), "x");
    EXPECT_EQ(arguments.Get("FILE"), "app");
  }
}

TEST_F(CommandLineTest, KeepsRepeatedValuesInOrderAndCommasInNames) {
  Arguments arguments = Expect(line_.Parse(
      {"--site-packages", "a,b", "--site-packages=c d", "app", "--site-packages", "e"}));
  EXPECT_EQ(arguments.All("site-packages"), (Words{"a,b", "c d", "e"}));
  EXPECT_EQ(arguments.Get("site-packages"), "e") << "the last one given";
}

TEST_F(CommandLineTest, AfterTwoDashesThereAreOnlyWords) {
  Arguments arguments = Expect(line_.Parse({"--", "-R", "--long"}));
  EXPECT_EQ(arguments.Get("FILE"), "-R");
  EXPECT_EQ(arguments.All("PATH..."), Words{"--long"});
}

TEST_F(CommandLineTest, HelpNeedsNothingElse) {
  EXPECT_TRUE(Expect(line_.Parse({"--help"})).help);
  EXPECT_TRUE(Expect(line_.Parse({"-h", "app"})).help);
}

TEST_F(CommandLineTest, HelpShowsUsageOptionsAndAnExample) {
  std::string help = line_.Help();
  for (std::string_view part :
       {"Lists.", "haft list [OPTION...] FILE [PATH...]", "--long", "-R, --recursive",
        "-o, --output FILE", "where to", "Example:\n  haft list app\n"}) {
    EXPECT_NE(help.find(part), help.npos) << part << "\nin\n" << help;
  }
}

TEST_F(CommandLineTest, RefusesWhatDoesNotFit) {
  struct Case {
    Words words;
    std::string part;
  };
  for (const Case& c : {Case{{}, "FILE is missing"}, Case{{"--wrong", "app"}, "wrong"},
                        Case{{"app", "-o"}, "missing an argument"}, Case{{"--long=3", "app"}, "3"},
                        Case{{"-x", "app"}, "x"}}) {
    auto parsed = line_.Parse(c.words);
    ASSERT_FALSE(parsed.has_value()) << c.part;
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kUsage);
    EXPECT_NE(Message(parsed).find(c.part), std::string::npos) << Message(parsed);
    EXPECT_TRUE(Message(parsed).ends_with("; see 'haft list --help'")) << Message(parsed);
    EXPECT_EQ(Message(parsed).find('\n'), std::string::npos) << "one line";
  }
}

TEST_F(CommandLineTest, TellsWhatAnUnknownOptionMayHaveMeant) {
  EXPECT_EQ(Message(line_.Parse({"--recursve", "app"})),
            "option '--recursve' does not exist; did you mean '--recursive'?");
  EXPECT_EQ(Message(line_.Parse({"app", "--ouput=x"})),
            "option '--ouput' does not exist; did you mean '--output'?");
  EXPECT_EQ(Message(line_.Parse({"--nonsense", "app"})),
            "option '--nonsense' does not exist; see 'haft list --help'");
  EXPECT_EQ(Message(line_.Parse({"-Z", "app"})),
            "option '-Z' does not exist; see 'haft list --help'");
  EXPECT_EQ(Message(line_.Parse({"app", "-o"})),
            "option 'o' is missing an argument; see 'haft list --help'")
      << "plain quotes";
}

TEST(CommandLineWordsTest, CountsWords) {
  CommandLine line("mount", "FILE DIR", "Mounts.", "");
  line.Positional({"FILE", "DIR"}, 2);
  EXPECT_EQ(Message(line.Parse({})), "FILE is missing; see 'haft mount --help'");
  EXPECT_EQ(Message(line.Parse({"a"})), "DIR is missing; see 'haft mount --help'");
  EXPECT_EQ(Message(line.Parse({"a", "b", "c\n"})),
            R"(unexpected word 'c\x0a'; see 'haft mount --help')");
  Arguments arguments = Expect(line.Parse({"a", "b"}));
  EXPECT_EQ(arguments.Get("FILE"), "a");
  EXPECT_EQ(arguments.Get("DIR"), "b");
  CommandLine none("version", "", "Tells.", "");
  EXPECT_EQ(Message(none.Parse({"x"})), "unexpected word 'x'; see 'haft version --help'");
}

TEST(CommandLineWordsTest, OptionsFirstLeavesTheRestAlone) {
  CommandLine line("run", "FILE [ARGUMENT...]", "Runs.", "");
  line.Value("p,python", "PYTHON", "")
      .Value("root", "DIR", "")
      .Flag("v,verbose", "")
      .Positional({"FILE", "ARGUMENT..."}, 1)
      .OptionsFirst();
  struct Case {
    Words words;
    std::string python, file;
    Words rest;
  };
  for (const Case& c :
       {Case{{"f", "-p", "x", "--help"}, "", "f", {"-p", "x", "--help"}},
        Case{{"-p", "x", "f", "-v"}, "x", "f", {"-v"}},
        Case{{"-px", "-v", "f", "--", "a"}, "x", "f", {"--", "a"}},
        Case{{"--python", "--", "f", ""}, "--", "f", {""}},
        Case{{"--root=d", "--", "-f", "-p"}, "", "-f", {"-p"}}, Case{{"-", "x"}, "", "-", {"x"}}}) {
    Arguments arguments = Expect(line.Parse(c.words));
    EXPECT_EQ(arguments.Get("python"), c.python) << c.words[0];
    EXPECT_EQ(arguments.Get("FILE"), c.file) << c.words[0];
    EXPECT_EQ(arguments.All("ARGUMENT..."), c.rest) << c.words[0];
    EXPECT_FALSE(arguments.help);
  }
  EXPECT_TRUE(Expect(line.Parse({"-v", "--help"})).help);
  EXPECT_EQ(Message(line.Parse({"-p", "x"})), "FILE is missing; see 'haft run --help'");
  EXPECT_NE(Message(line.Parse({"-p"})), "");
  EXPECT_NE(Message(line.Parse({"--nonsense", "f"})), "");
}

TEST(ParseNumberTest, TakesWholeNumbersInRange) {
  EXPECT_EQ(Expect(ParseNumber("--jobs", "1", 256)), 1u);
  EXPECT_EQ(Expect(ParseNumber("--jobs", "256", 256)), 256u);
  for (std::string_view text :
       {"", "0", "257", "-1", "+1", " 1", "1 ", "1.5", "0x10", "99999999999999999999", "many"}) {
    auto number = ParseNumber("--jobs", text, 256);
    ASSERT_FALSE(number.has_value()) << text;
    EXPECT_EQ(Message(number),
              "--jobs '" + std::string(text) + "': not a whole number from 1 to 256");
    EXPECT_EQ(number.error().kind(), ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace haft::cli
